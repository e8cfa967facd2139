# The events as an OpenAPI document, for what compares two of those: to whoever reads events, a message is what an answer is
# to whoever calls. Each message of each channel is a GET of /EXCHANGE-OR-QUEUE/MESSAGE that is answered with its payload.

. as $document
# What a reference of the document leads to, in the end.
| def follow: if has("$ref") then ."$ref" as $to | $document | getpath($to | ltrimstr("#/") | split("/")) | follow else . end;
  def place: .bindings.amqp | (.exchange // .queue).name;
{
    openapi: "3.1.0",
    info: {title: .info.title, version: .info.version},
    paths: [
        .channels[] | follow | place as $place | .messages | to_entries[] | (.value | follow) as $message
        | {
            key: "/\($place)/\(.key)",
            value: {get: {responses: {"200": {
                description: .key,
                content: {($message.contentType // $document.defaultContentType): {schema: $message.payload}}
            }}}}
        }
    ] | from_entries,
    components: {schemas: .components.schemas}
}
