package main

import (
	"encoding/json"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
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

func TestOnlyWhatIsKilledFromOutsideIsUnanswered(t *testing.T) {
	for script, want := range map[string]bool{"kill -KILL $$": true, "kill -SYS $$": false, "exit 1": false, "true": false} {
		if got := killed(exec.Command("sh", "-c", script).Run()); got != want {
			t.Errorf("%s: %v", script, got)
		}
	}
}

func TestADriverIsLoadedWhereTheKernelListsIt(t *testing.T) {
	careful = true
	defer func() { careful = false }()
	// Memory devices are part of every kernel; 4095 is nobody's number.
	if !loaded(unix.S_IFCHR, 1, 3) || loaded(unix.S_IFCHR, 4095, 0) || loaded(unix.S_IFBLK, 4095, 0) || loaded(unix.S_IFCHR, 10, 4095) {
		t.Error("/proc/devices and /proc/misc are read wrongly")
	}
	if careful = false; !loaded(unix.S_IFCHR, 4095, 0) {
		t.Error("a sandbox is not asked for all")
	}
}
