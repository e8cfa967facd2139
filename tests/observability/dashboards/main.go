// Reads dashboards by Grafana's own schema: no field that it does not know, none missing that it asks for, in the page, its
// variables, its panels and their options and queries.
//
//	go run . DASHBOARD.json...
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	wrong := len(os.Args) < 2
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Printf("%s:\n%v\n", path, err)
			wrong = true
		}
	}
	if wrong {
		os.Exit(1)
	}
}

func check(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var page dashboard.Dashboard
	if err := page.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" { // an empty list of errors is no nil
		return err
	}
	return page.Validate()
}
