// Command reach tells what a pod reaches over the network, and listens for those that try; see docs/explanation.md, "Reachable from
// inside". It has no dependencies, and runs as any user.
//
// usage: reach listen COUNT [ADDRESS]    opens so many ports; prints Ports as JSON, then each Heard
//
//	reach try TARGETS              tries all targets, a JSON array of Target, at once; prints [Outcome] as JSON
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reach:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: reach listen COUNT [ADDRESS] | reach try TARGETS")
	}
	switch args[0] {
	case "listen":
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		address := ""
		if len(args) > 2 {
			address = args[2]
		}
		return listen(count, address, json.NewEncoder(os.Stdout))
	case "try":
		var targets []Target
		if err := json.Unmarshal([]byte(args[1]), &targets); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(tryAll(targets))
	}
	return fmt.Errorf("%q is no command; allowed: listen, try", args[0])
}

func tryAll(targets []Target) []Outcome {
	outcomes := make([]Outcome, len(targets))
	var all sync.WaitGroup
	for index, target := range targets {
		all.Go(func() { outcomes[index] = target.try() })
	}
	all.Wait()
	return outcomes
}
