"""Writes each example of an OpenAPI document, and each piece of TypeScript in the client's README, into a file of its own.

tests/lint/examples.py DOCUMENT FOLDER
"""

import json
import pathlib
import re
import sys

ENDINGS = {"Shell": "sh", "TypeScript": "mts", "Python": "py"}

document, folder = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
for path in document["paths"].values():
    for operation in path.values():
        samples = {sample["lang"]: sample["source"] for sample in operation["x-codeSamples"]}
        assert samples.keys() == {*ENDINGS, "Rust"}, operation["operationId"]
        for language, ending in ENDINGS.items():
            (folder / f"{operation['operationId']}.{ending}").write_text(samples[language])
snippets = re.findall(r"```ts\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
assert snippets, "the README has no example"
for number, snippet in enumerate(snippets):
    (folder / f"readme-{number}.mts").write_text(snippet)
