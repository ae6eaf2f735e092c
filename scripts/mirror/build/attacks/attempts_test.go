package main

import (
	"encoding/json"
	"testing"
)

func TestEachRowHasItsFunctionAndEachFunctionItsRow(t *testing.T) {
	var rows []map[string]string
	if err := json.Unmarshal(corpus, &rows); err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, row := range rows {
		if named[row["name"]] {
			t.Errorf("%s is there twice", row["name"])
		}
		named[row["name"]] = true
		if attempts[row["name"]].try == nil {
			t.Errorf("%s has no function", row["name"])
		}
	}
	for name := range attempts {
		if !named[name] {
			t.Errorf("%s has no row", name)
		}
	}
}
