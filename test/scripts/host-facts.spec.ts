// What a worker says of a pod while it is busy, on a containerd and a runsc that the test plays.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { textOf } from "../../components/machineScripts";

describe("scripts/on-machine/probe/host-facts.sh", () => {
    /** The facts of a pod of two containers, the second of which is in these states, one for each time that somebody asks. */
    function facts(states: readonly string[]): { runtimes: string[]; runscRunning: number } {
        const script = textOf(["gvisor/node.sh", "probe/host-facts.sh"]).replace('main "$@"', "");
        const text = `${script}
            asked=$(mktemp); trap 'rm "$asked"' EXIT
            states=(${states.join(" ")}) OPTIONS=''
            ctr() {
                if [[ $3 == containers ]]; then
                    printf 'CONTAINER IMAGE RUNTIME\\npause - io.containerd.runsc.v1\\nmain - io.containerd.runsc.v1\\n'
                else
                    printf 'TASK PID STATUS\\npause 1 RUNNING\\nmain 2 %s\\n' "\${states[$(wc -c <"$asked")]-RUNNING}"
                    echo -n x >>"$asked"
                fi
            }
            runsc_running() { printf 'pause 1\\nmain 2\\n'; }
            sandbox_options() { echo '{}'; }
            pod_facts uid`;
        const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", text], { encoding: "utf8" });
        assert.equal(status, 0, stderr);
        return JSON.parse(stdout);
    }

    it("waits for a container of whose state containerd is not sure for a moment", () => {
        for (const states of [[], ["RUNNING", "UNKNOWN"], ["UNKNOWN", "RUNNING", "UNKNOWN", "UNKNOWN"]]) {
            const { runtimes, runscRunning } = facts(states);
            assert.deepEqual([runtimes.length, runscRunning], [2, 2], states.join());
        }
    });
});
