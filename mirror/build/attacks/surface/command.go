package surface

import (
	"errors"
	"flag"
	"strconv"
	"time"
)

// How long a server is there for the pods that are measured.
const life = 2 * time.Minute

// Commands by name: what each prints as JSON, from its arguments.
var Commands = map[string]func(args []string) (any, error){
	"measure": func(args []string) (any, error) {
		if len(args) != 1 {
			return nil, errors.New("usage: attacks measure ADDRESS:PORT")
		}
		return Measure(args[0]), nil
	},
	"serve": func(args []string) (any, error) {
		if len(args) != 1 {
			return nil, errors.New("usage: attacks serve ADDRESS:PORT")
		}
		return true, Serve(args[0], life)
	},
	"filters": func(args []string) (any, error) {
		flags := flag.NewFlagSet("filters", flag.ContinueOnError)
		machine := flags.Int("machine", 0, "process of this host that the machine is below, as which the numbers are meant")
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		found := []Filters{}
		for _, one := range flags.Args() {
			pid, err := strconv.Atoi(one)
			if err != nil {
				return nil, err
			}
			found = append(found, FiltersOf(pid, *machine))
		}
		return found, nil
	},
}
