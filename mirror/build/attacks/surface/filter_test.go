package surface

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const here = unix.AUDIT_ARCH_X86_64

// As in linux/filter.h.
func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(code uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | code, Jt: yes, Jf: no, K: k}
}

func load(offset uint32) unix.SockFilter {
	return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset)
}

func answer(value uint32) unix.SockFilter { return statement(unix.BPF_RET|unix.BPF_K, value) }

var (
	number       = load(0)
	architecture = load(4)
	argument     = load(16)
	allow        = answer(unix.SECCOMP_RET_ALLOW)
	deny         = answer(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	kill         = answer(unix.SECCOMP_RET_KILL_PROCESS)
)

func isEqual(k uint32, yes, no uint8) unix.SockFilter {
	return jump(unix.BPF_JEQ|unix.BPF_K, k, yes, no)
}

func through(filter []unix.SockFilter, numbers ...uint32) []uint32 {
	found := []uint32{}
	for _, one := range numbers {
		if lets(filter, here, one) {
			found = append(found, one)
		}
	}
	return found
}

func TestWhatAFilterLetsThrough(t *testing.T) {
	for name, one := range map[string]struct {
		filter []unix.SockFilter
		want   []uint32
	}{
		"a list of what is allowed":                    {[]unix.SockFilter{number, isEqual(1, 2, 0), isEqual(3, 1, 0), deny, allow}, []uint32{1, 3}},
		"a list of what is denied":                     {[]unix.SockFilter{number, isEqual(1, 2, 0), isEqual(3, 1, 0), allow, kill}, []uint32{0, 2, 4, 5}},
		"nothing but with an argument":                 {[]unix.SockFilter{number, isEqual(2, 0, 2), argument, isEqual(9, 1, 0), deny, allow}, []uint32{2}},
		"all, but not with each argument":              {[]unix.SockFilter{number, isEqual(2, 0, 2), argument, isEqual(9, 1, 0), allow, deny}, []uint32{0, 1, 2, 3, 4, 5}},
		"an argument that decides nothing":             {[]unix.SockFilter{argument, isEqual(9, 0, 0), number, isEqual(4, 0, 1), allow, deny}, []uint32{4}},
		"ranges":                                       {[]unix.SockFilter{number, jump(unix.BPF_JGT|unix.BPF_K, 3, 0, 1), deny, jump(unix.BPF_JGE|unix.BPF_K, 2, 0, 1), allow, deny}, []uint32{2, 3}},
		"bits":                                         {[]unix.SockFilter{number, jump(unix.BPF_JSET|unix.BPF_K, 1, 0, 1), allow, deny}, []uint32{1, 3, 5}},
		"a long jump":                                  {[]unix.SockFilter{number, isEqual(1, 0, 1), jump(unix.BPF_JA, 1, 0, 0), deny, allow}, []uint32{1}},
		"another architecture only":                    {[]unix.SockFilter{architecture, isEqual(unix.AUDIT_ARCH_AARCH64, 1, 0), deny, allow}, []uint32{}},
		"this architecture only":                       {[]unix.SockFilter{architecture, isEqual(here, 0, 1), allow, kill}, []uint32{0, 1, 2, 3, 4, 5}},
		"what is logged, traced or asked elsewhere":    {[]unix.SockFilter{number, isEqual(1, 4, 0), isEqual(2, 4, 0), isEqual(3, 4, 0), deny, kill, answer(unix.SECCOMP_RET_LOG), answer(unix.SECCOMP_RET_TRACE | 7), answer(unix.SECCOMP_RET_USER_NOTIF)}, []uint32{1, 2, 3}},
		"nothing that ends in a signal or the process": {[]unix.SockFilter{number, isEqual(1, 1, 0), answer(unix.SECCOMP_RET_TRAP), answer(unix.SECCOMP_RET_KILL_THREAD)}, []uint32{}},
		"an answer from A":                             {[]unix.SockFilter{number, isEqual(4, 0, 2), statement(unix.BPF_LD|unix.BPF_IMM, unix.SECCOMP_RET_ALLOW), jump(unix.BPF_JA, 1, 0, 0), statement(unix.BPF_LD|unix.BPF_IMM, 0), statement(unix.BPF_RET|unix.BPF_A, 0)}, []uint32{4}},
		"an answer that comes from an argument":        {[]unix.SockFilter{argument, statement(unix.BPF_RET|unix.BPF_A, 0)}, []uint32{0, 1, 2, 3, 4, 5}},
		"by a number kept aside": {[]unix.SockFilter{
			number, statement(unix.BPF_ST, 3), argument, statement(unix.BPF_STX, 4), statement(unix.BPF_LD|unix.BPF_MEM, 3),
			isEqual(5, 0, 1), allow, deny,
		}, []uint32{5}},
		"by what X holds": {[]unix.SockFilter{
			number, statement(unix.BPF_MISC|unix.BPF_TAX, 0), statement(unix.BPF_LD|unix.BPF_IMM, 2),
			jump(unix.BPF_JEQ|unix.BPF_X, 0, 0, 1), allow, deny,
		}, []uint32{2}},
		"by a sum": {[]unix.SockFilter{
			number, statement(unix.BPF_ALU|unix.BPF_ADD|unix.BPF_K, 10), statement(unix.BPF_ALU|unix.BPF_RSH|unix.BPF_K, 1), isEqual(7, 0, 1), allow, deny,
		}, []uint32{4, 5}},
		"what is reckoned from an argument, either way": {[]unix.SockFilter{
			argument, statement(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 1), isEqual(1, 0, 1), allow, number, isEqual(0, 0, 1), allow, deny,
		}, []uint32{0, 1, 2, 3, 4, 5}},
		"nothing that divides by nothing": {[]unix.SockFilter{number, statement(unix.BPF_ALU|unix.BPF_DIV|unix.BPF_X, 0), allow}, []uint32{}},
	} {
		if got := through(one.filter, 0, 1, 2, 3, 4, 5); !slices.Equal(got, one.want) {
			t.Errorf("%s: %v, want %v", name, got, one.want)
		}
	}
}

// A filter as gVisor makes them: a tree over the numbers, and conditions on each half of each argument. Taken path by path it has
// 2^40 of them.
func TestAFilterWithManyConditionsTakesNoTime(t *testing.T) {
	filter := []unix.SockFilter{}
	for range 40 {
		filter = append(filter, argument, isEqual(1, 0, 0))
	}
	filter = append(filter, number, isEqual(1, 0, 1), allow, deny)
	if got := through(filter, 0, 1, 2); !slices.Equal(got, []uint32{1}) {
		t.Errorf("%v", got)
	}
}

func TestEachFilterHasToLetACallThrough(t *testing.T) {
	architecture := load(4)
	only := func(numbers ...uint32) []unix.SockFilter {
		filter := []unix.SockFilter{architecture, number}
		for _, one := range numbers {
			filter = append(filter, isEqual(one, 0, 1), allow)
		}
		return append(filter, deny)
	}
	none, of := count(nil)
	if none != of || of < 300 {
		t.Errorf("without a filter %d of %d", none, of)
	}
	if both, _ := count([][]unix.SockFilter{only(1, 2, 3), only(2, 3, 4)}); both != 2 {
		t.Errorf("%d, want 2", both)
	}
}

// The numbers of golang.org/x/sys in the version that is pinned.
func TestEachSystemCallIsCounted(t *testing.T) {
	place, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range tables {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(place)), "unix", "zsysnum_linux_"+name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		known := map[int]bool{}
		for _, one := range regexp.MustCompile(`(?m)^\tSYS_\w+ += (\d+)$`).FindAllStringSubmatch(string(text), -1) {
			number, _ := strconv.Atoi(one[1])
			known[number] = true
		}
		counted := 0
		for _, one := range table.ranges {
			for at := one[0]; at <= one[1]; at++ {
				counted++
				if !known[int(at)] {
					t.Errorf("%s has no system call %d", name, at)
				}
			}
		}
		if counted != len(known) {
			t.Errorf("%s: %d are counted of %d", name, counted, len(known))
		}
	}
}
