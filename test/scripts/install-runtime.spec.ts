// What the scripts of the runtime try before they change anything, and what they take back, on a containerd played by the test.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { textOf } from "../../components/machineScripts";
import { runtimeLibraries } from "../../components/runtimeScripts";
import { shellQuote } from "../../components/step.cjs";

const dropIn = "/etc/containerd/conf.d/50-runtime-sandboxes.toml";
/** A directory where the drop-in is written first. */
const blocked = `${dropIn}.runtime-sandboxes`;

/** Runs functions of the script in a mount namespace where /etc, /var/lib and /run are empty, after `given`. */
function within(given: string, call: string) {
    const script = textOf([...runtimeLibraries, "gvisor/install.sh"]).replace('main "$@"', "");
    const values = `HANDLERS=runsc ROOT_HEAD= ROOT_TAIL= FILES='==> ${dropIn}\nversion = 3'`;
    const text = `for one in /etc /var/lib /run; do mount -t tmpfs tmpfs $one; done; mkdir -p /etc/containerd/conf.d; ${given}
        readonly ${values}
        ${script}
        ${call}`;
    return spawnSync("unshare", ["--map-root-user", "--mount", "bash", "-c", text], { encoding: "utf8" });
}

describe("a configuration that is tried", () => {
    const tried = (given: string, containerd = "echo 'version = 3'") =>
        within(
            `${given}
            printf '#!/bin/bash\nif [[ -s ${dropIn} || -e ${blocked} ]]; then %s; fi\n' ${shellQuote(containerd)} >/var/lib/containerd
            chmod +x /var/lib/containerd`,
            `
            awk() { mawk "$@"; } # /etc/alternatives is not there
            PATH=/var/lib:$PATH
            set +e
            (set -e; try_configuration "version = 3")
            failed=$?
            ls ${path.dirname(dropIn)}
            compgen -G '/run/runtime-sandboxes*'
            exit $failed`,
        );
    it("is what containerd reads, and nothing is changed", () => {
        const { status, stdout, stderr } = tried(":");
        assert.deepEqual([status, stdout], [0, ""], stderr);
    });

    it("is refused where containerd cannot read it, in its words", () => {
        const { status, stdout, stderr } = tried(":", "echo 'containerd: no such key' >&2; exit 1");
        assert.deepEqual([status, stdout], [1, ""], stderr);
        assert.match(stderr, /nothing was changed\. It says: containerd: no such key\n/);
    });

    it("is refused where it would change something else, which is named without its value", () => {
        const { status, stdout, stderr } = tried(":", "printf '[registry]\\npassword = 1\\n'");
        assert.deepEqual([status, stdout], [1, ""], stderr);
        assert.match(
            stderr,
            /would change more than the handlers runsc; nothing was changed: .*\[registry\] password\n/,
        );
        assert.doesNotMatch(stderr, /= 1/);
    });

    it("leaves no directory behind that it lies in for the trial", () => {
        const { status, stdout, stderr } = tried(
            "rmdir /etc/containerd/conf.d",
            'echo "$(ls /etc/containerd/conf.d) = 1"',
        );
        assert.equal(status, 1, stderr);
        assert.match(stderr, /nothing was changed: .*50-runtime-sandboxes\.toml/);
        assert.equal(stdout, "");
        assert.match(stderr, /cannot access '\/etc\/containerd\/conf\.d'/);
    });

    it("is refused where a file of it cannot be written, with the reason", () => {
        const { status, stderr } = tried(`mkdir -p ${blocked}/file`);
        assert.equal(status, 1, stderr);
        assert.match(
            stderr,
            /nothing was changed\. It says: \S+ error: cannot write beside \/etc\/containerd\/conf\.d\//,
        );
    });
});

describe("a configuration that is as wanted", () => {
    it("loses what a run that was cut off has left beside it", () => {
        const { status, stdout, stderr } = within(
            `printf 'version = 3\n' >${dropIn}; echo mine >/etc/containerd/config.toml
            for file in ${dropIn} /etc/containerd/config.toml; do : >$file.runtime-sandboxes; done`,
            `
            BASIS=0123456789abcdef0123
            loaded_handlers() { echo runsc; }
            take_into_use() { :; }
            mkdir -p $state
            configure
            find /etc/containerd -type f | sort; cat /etc/containerd/config.toml`,
        );
        assert.deepEqual([status, stdout], [0, `${dropIn}\n/etc/containerd/config.toml\nmine\n`], stderr);
    });
});

describe("a package that takes another one's place", () => {
    const noexec = (place: string) => `mount --bind ${place} ${place}; mount -o remount,bind,noexec ${place}`;
    const tried = (given: string) =>
        within(
            given,
            `
            RUNSC_VERSION=20261116.0
            installed_version() { echo 20260831.0; }
            apt-get() { : >runsc_1.deb; }
            apt-cache() { echo ' runsc | 20261116.0 | file:/srv'; }
            awk() { mawk "$@"; } # /etc/alternatives is not there
            dpkg-deb() { mkdir -p usr/bin; printf '#!/bin/sh\necho runsc\n' >usr/bin/runsc; chmod +x usr/bin/runsc; }
            mkdir -p $state
            (try_package) || failed=$?
            ls -A $state
            exit \${failed:-0}`,
        );

    it("is run first, also where nothing can be run in /tmp", () => {
        const { status, stdout, stderr } = tried(noexec("/tmp"));
        assert.deepEqual([status, stdout], [0, ""], stderr);
    });

    it("is refused where nothing can be run beside what this program keeps, which the error names", () => {
        const { status, stdout, stderr } = tried(noexec("/var/lib"));
        assert.deepEqual([status, stdout], [1, ""], stderr);
        assert.match(
            stderr,
            /the package runsc 20261116\.0 cannot be fetched or does not run here; 20260831\.0 stays\. \/var\/lib is mounted noexec, so nothing runs in \/var\/lib\/runtime-sandboxes\. Available: 20261116\.0\n/,
        );
    });
});

describe("an installation that its limit in time ends", () => {
    const ended = (given: string) =>
        within(
            given,
            "take_back() { echo taken back; }; mkdir -p $state; take_back_on_failure; kill -TERM $$; echo goes on",
        );

    it("is taken back if it is the first one", () => {
        const { status, stdout, stderr } = ended(":");
        assert.deepEqual([status, stdout], [143, "taken back\n"], stderr);
    });

    it("leaves what an earlier one has installed", () => {
        const { status, stdout, stderr } = ended(
            "mkdir -p /var/lib/runtime-sandboxes; : >/var/lib/runtime-sandboxes/installed",
        );
        assert.deepEqual([status, stdout], [143, ""], stderr);
    });
});

describe("a first installation that fails", () => {
    it("is taken back by the script that removes it at other times, by the same step", () => {
        const removal = fs.readFileSync("scripts/on-machine/gvisor/remove.sh", "utf8");
        const { status, stdout, stderr } = within(
            `mkdir /var/lib/brought; printf '%s\n' lib last >/var/lib/brought/removal; cat >/var/lib/brought/last <<'SCRIPT'\n${removal}\nSCRIPT`,
            `
            awk() { mawk "$@"; } # /etc/alternatives is not there
            scripts=/var/lib/brought
            begin
            mkdir -p $state/original${path.dirname(dropIn)}
            : >$state/original${dropIn}.absent
            echo ${dropIn} >$state/files
            echo 'version = 3' >${dropIn}
            systemctl() { :; }
            loaded_handlers() { echo runc; }
            set +e
            (set -e; take_back_on_failure; die 'it fails')
            failed=$?
            ls -A /var/lib /etc/containerd
            exit $failed`,
        );
        assert.deepEqual([status, stdout], [1, "/etc/containerd:\n\n/var/lib:\nbrought\n"], stderr);
        assert.match(
            stderr,
            /it fails\n.*restarted containerd, which serves runc;.*\n.*had changed is as it was before\n/,
        );
    });
});

describe("a restart of containerd", () => {
    /** Pods and handlers before and after, as the machine's own programs print them. */
    const restarted = (after: string, before = ":", how = "reload 'version = 3'") =>
        within(
            "",
            `
            awk() { mawk "$@"; } # /etc/alternatives is not there
            pods() { printf 'POD ID  CREATED  STATE  NAME  NAMESPACE  ATTEMPT  RUNTIME\n'; printf '%s  2 minutes ago  %s  %s  shop  0  (default)\n' "$@"; }
            one=Ready two=Ready served=$'runc\nkata'
            work='aaa bbb' says=' Running'
            cri() {
                if [[ $1 == ps ]]; then printf '  "podSandboxId": "%s",\n' $work; return; fi
                pods aaa $one one bbb $two two | if [[ $3 == Ready ]]; then grep -w Ready; else grep -w NotReady; fi
            }
            kubectl() { echo "$says"; [[ $says != Error* ]]; }
            loaded_handlers() { sort -u <<<"$served"; }
            effective_configuration() { echo 'version = 3'; }
            systemctl() { :; }
            restart_containerd() { served+=$'\nrunsc'; ${after}; }
            ${before}
            if keeping ${how}; then echo "serves; stopped: $stopped"; else echo "$reload_error"; fi`,
        );

    for (const [title, after, said] of [
        ["goes on where all is as before", ":", "serves; stopped: "],
        ["names the pods that it has ended", "two=NotReady", "serves; stopped: shop/two"],
        ["misses a handler that was served before", "served=runsc", "it does not serve kata,runc any more"],
    ] as const) {
        it(title, () => {
            const { status, stdout, stderr } = restarted(after);
            assert.deepEqual([status, stdout], [0, `${said}\n`], stderr);
        });
    }

    for (const [title, after, said] of [
        ["goes on where only our handlers are gone", ":", "serves; stopped: "],
        ["names the pods that it has ended", "two=NotReady", "serves; stopped: shop/two"],
        ["misses a handler of somebody else's", "served=runc", "it does not serve kata any more"],
        ["fails where containerd does not start", "return 1", "the journal"],
    ] as const) {
        it(`without our handlers ${title}`, () => {
            const before = "served+=$'\\nrunsc'; journal() { echo 'the journal'; }";
            const { status, stdout, stderr } = restarted(`served=$'runc\\nkata'; ${after}`, before, "reload_without");
            assert.deepEqual([status, stdout], [0, `${said}\n`], stderr);
        });
    }

    for (const [title, before] of [
        ["have no container left", "work=aaa"],
        ["are being deleted", "says='2026-11-30T12:00:00Z Running'"],
        ["are gone", "says='Error from server (NotFound): pods \"two\" not found'"],
        [
            "are gone, of which a node is told otherwise",
            `says="Error from server (Forbidden): pods \\"two\\" is forbidden: no relationship found between node 'worker-1' and this object"`,
        ],
        ["have done their work", "says=' Succeeded'"],
    ] as const) {
        it(`does not blame itself for pods that ${title}`, () => {
            const { status, stdout, stderr } = restarted("two=NotReady", before);
            assert.deepEqual([status, stdout], [0, "serves; stopped: \n"], stderr);
        });
    }
});

describe("kubelet's health", () => {
    /** Where it is asked for, with these files in /etc and /var/lib, and a kubelet that was started with these arguments. */
    const asked = (files: Readonly<Record<string, string>>, started: string, call = "kubelet_healthy && echo well") => {
        const given = Object.entries(files).map(
            ([file, text]) => `mkdir -p ${path.dirname(file)}; printf '%s' '${text}' >${file}`,
        );
        return within(
            given.join("\n"),
            `
            bash -c 'kill -STOP $$' /usr/bin/kubelet ${started} & pid=$!
            until grep -q '^State:.T' /proc/$pid/status; do sleep 0.1; done
            systemctl() { echo $pid; }
            curl() { echo "\${*: -1}"; }
            ${call}
            kill -KILL $pid`,
        );
    };
    const usual = "/var/lib/kubelet/config.yaml";

    for (const [title, files, started, said] of [
        [
            "is asked for at its usual place",
            { [usual]: "# healthzPort: 1\nkind: X\n" },
            "",
            "http://127.0.0.1:10248/healthz",
        ],
        [
            "is asked for where its configuration has it",
            { [usual]: "healthzBindAddress: 10.0.0.9\nhealthzPort: 10300\n" },
            "",
            "http://10.0.0.9:10300/healthz",
        ],
        [
            "is asked for where the configuration that it was started with has it, in JSON and with IPv6 too",
            { [usual]: "healthzPort: 1", "/etc/kubelet.json": '{"healthzPort":10300,"healthzBindAddress":"::1"}' },
            "--config-dir=/etc/none --config=/etc/kubelet.json",
            "http://[::1]:10300/healthz",
        ],
        [
            "is not asked for where it says nothing of it",
            { [usual]: 'healthzPort: 0\nhealthzBindAddress: ""\n' },
            "",
            "",
        ],
    ] as const) {
        it(title, () => {
            const { status, stdout, stderr } = asked(files, started);
            assert.deepEqual([status, stdout], [0, `${said}${said && "\n"}well\n`], stderr);
        });
    }
});

describe("sandboxes of a gVisor that was replaced", () => {
    it("are named: those of a program that is gone, and those of one in another place", () => {
        const { status, stdout, stderr } = within(
            `for release in gone before now; do
                mkdir -p /var/lib/$release/gvisor-bin
                cp /bin/sleep /var/lib/$release/gvisor-bin/gvisor_sentry
                (exec -a "runsc-sandbox in boot $release" /var/lib/$release/gvisor-bin/gvisor_sentry 60) >&2 &
            done
            until pgrep -f "^runsc-sandbox in boot now" >/dev/null; do sleep 0.1; done
            : >/var/lib/now/runsc; chmod +x /var/lib/now/runsc
            rm -r /var/lib/gone`,
            `sandboxed_pods() { printf 'runsc default/%s %s\\n' gone gone before before now now; }
            PATH=/var/lib/now:$PATH
            survivors
            kill $(jobs -p)`,
        );
        assert.deepEqual([status, stdout], [0, "default/gone\ndefault/before\n"], stderr);
    });
});
