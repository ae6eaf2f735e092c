package surface

import "golang.org/x/sys/unix"

// What a program sees of a system call, struct seccomp_data: the number first, then the architecture, then what is not known here
// (where it was made, and its arguments).
const (
	numberOffset       = 0
	architectureOffset = 4
	dataLength         = 64
)

// A word of the machine that filters run on. It is unknown where an argument went into it.
type word struct {
	known bool
	value uint32
}

// A place in a filter, with all that decides how it goes on from there.
type state struct {
	next    uint32
	a, x    word
	scratch [16]word
}

// lets tells whether a filter may let a system call through: whether some arguments get it to an answer that does. Each condition
// on an argument is taken both ways, for itself, so this errs on the side of more.
func lets(filter []unix.SockFilter, architecture, number uint32) bool {
	// It begins with nothing in A and X.
	open := []state{{a: word{known: true}, x: word{known: true}}}
	seen := map[state]bool{}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		// A filter only jumps forward, and ends with an answer; the kernel has seen to that.
		if seen[at] || int(at.next) >= len(filter) {
			continue
		}
		seen[at] = true
		one := filter[at.next]
		at.next++
		switch one.Code & 0x07 {
		case unix.BPF_RET:
			if answer := at.answer(one); !answer.known || passes(answer.value) {
				return true
			}
		case unix.BPF_JMP:
			open = append(open, at.jumps(one)...)
		default:
			if at.computes(one, architecture, number) {
				open = append(open, at)
			}
		}
	}
	return false
}

func (at *state) answer(one unix.SockFilter) word {
	if one.Code&0x18 == unix.BPF_A {
		return at.a
	}
	return word{true, one.K}
}

// passes tells whether the kernel goes on with a call after this answer. Of one that is left to another process (a tracer, or whoever
// reads the notifications) nobody knows here, so it counts.
func passes(answer uint32) bool {
	switch answer & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_USER_NOTIF:
		return true
	}
	return false
}

// operand is the constant of an instruction, or X.
func (at *state) operand(one unix.SockFilter) word {
	if one.Code&0x08 == unix.BPF_X {
		return at.x
	}
	return word{true, one.K}
}

// jumps gives where a jump leads: to both sides where its condition is not known.
func (at state) jumps(one unix.SockFilter) []state {
	yes, no := at, at
	if one.Code&0xf0 == unix.BPF_JA {
		yes.next += one.K
		return []state{yes}
	}
	yes.next += uint32(one.Jt)
	no.next += uint32(one.Jf)
	other := at.operand(one)
	if !at.a.known || !other.known {
		return []state{yes, no}
	}
	holds := false
	switch one.Code & 0xf0 {
	case unix.BPF_JEQ:
		holds = at.a.value == other.value
	case unix.BPF_JGT:
		holds = at.a.value > other.value
	case unix.BPF_JGE:
		holds = at.a.value >= other.value
	case unix.BPF_JSET:
		holds = at.a.value&other.value != 0
	}
	if holds {
		return []state{yes}
	}
	return []state{no}
}

// computes does what an instruction does that neither jumps nor answers. It tells whether the filter goes on.
func (at *state) computes(one unix.SockFilter, architecture, number uint32) bool {
	switch one.Code & 0x07 {
	case unix.BPF_LD:
		at.a = at.loaded(one, architecture, number)
	case unix.BPF_LDX:
		at.x = at.loaded(one, architecture, number)
	case unix.BPF_ST:
		at.scratch[one.K&15] = at.a
	case unix.BPF_STX:
		at.scratch[one.K&15] = at.x
	case unix.BPF_MISC:
		if one.Code&0xf8 == unix.BPF_TXA {
			at.a = at.x
		} else {
			at.x = at.a
		}
	case unix.BPF_ALU:
		return at.calculates(one)
	}
	return true
}

func (at *state) loaded(one unix.SockFilter, architecture, number uint32) word {
	switch one.Code & 0xe0 {
	case unix.BPF_IMM:
		return word{true, one.K}
	case unix.BPF_MEM:
		return at.scratch[one.K&15]
	case unix.BPF_LEN:
		return word{true, dataLength}
	}
	switch one.K {
	case numberOffset:
		return word{true, number}
	case architectureOffset:
		return word{true, architecture}
	}
	return word{}
}

// calculates changes A. What divides by nothing ends with the answer 0, which kills.
func (at *state) calculates(one unix.SockFilter) bool {
	other := at.operand(one)
	operation := one.Code & 0xf0
	if operation == unix.BPF_NEG {
		other = word{known: true}
	}
	if operation == unix.BPF_DIV && other == (word{known: true}) {
		return false
	}
	if !at.a.known || !other.known {
		at.a = word{}
		return true
	}
	switch operation {
	case unix.BPF_ADD:
		at.a.value += other.value
	case unix.BPF_SUB:
		at.a.value -= other.value
	case unix.BPF_MUL:
		at.a.value *= other.value
	case unix.BPF_DIV:
		at.a.value /= other.value
	case unix.BPF_AND:
		at.a.value &= other.value
	case unix.BPF_OR:
		at.a.value |= other.value
	case unix.BPF_XOR:
		at.a.value ^= other.value
	case unix.BPF_LSH:
		at.a.value <<= other.value & 31
	case unix.BPF_RSH:
		at.a.value >>= other.value & 31
	case unix.BPF_NEG:
		at.a.value = -at.a.value
	}
	return true
}
