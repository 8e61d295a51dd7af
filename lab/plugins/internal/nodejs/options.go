package nodejs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// options are the runtime options of Pulumi.yaml, as Node gets them.
type options struct {
	nodeArguments []string
	environment   []string
}

func parseOptions(given map[string]any) (options, error) {
	parsed := options{}
	typescript := true
	for _, name := range slices.Sorted(maps.Keys(given)) {
		text, isText := given[name].(string)
		valid := isText
		switch name {
		case "typescript":
			typescript, valid = given[name].(bool)
		case "tsconfig":
			parsed.environment = append(parsed.environment, "PULUMI_NODEJS_TSCONFIG_PATH="+text)
		case "nodeargs":
			valid = isText && !strings.ContainsAny(text, `"'\`)
			parsed.nodeArguments = strings.Fields(text)
		case "packagemanager":
			valid = text == "npm" || text == "auto"
		default:
			valid = false
		}
		if !valid {
			return options{}, fmt.Errorf("runtime option %s of Pulumi.yaml: expected typescript (boolean), tsconfig (string), "+
				"nodeargs (string without quotes) or packagemanager (npm), found %v: leave it out "+
				"or use a Pulumi CLI with the real language host",
				name, given[name])
		}
	}
	if typescript {
		parsed.environment = append(parsed.environment, "PULUMI_NODEJS_TYPESCRIPT=true")
	}
	return parsed, nil
}
