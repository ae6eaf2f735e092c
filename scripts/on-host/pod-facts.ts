// @ts-nocheck
// Captures `uname -r` and `dmesg` in pods through the Kubernetes exec API.
//
// stdin:  {"kubeconfig": text, "pods": {KEY: {"namespace", "name", "uid"}}}; further fields only tell captures apart
// stdout: {KEY: {"kernel", "dmesg": without its middle where it is long}}

import { CoreV1Api, Exec, KubeConfig } from "@kubernetes/client-node";
import evidence from "../../components/evidence.cjs";
import { persist, run } from "./exec.ts";

/** Lines that are kept at each end of a log, and characters of a line. gVisor's own log has fewer. */
const [ends, width] = [20, 400];

const shortened = (line) =>
    line.length > width ? `${line.slice(0, width)} … ${line.length - width} characters left out` : line;

/**
 * A log without its middle: some workers let a pod read all of theirs, which is long, tells more of the machine than anybody
 * should find in outputs, and proves no more than its ends. A line that only gVisor writes stays.
 */
function bounded(log) {
    const lines = log.split("\n");
    const middle = lines.slice(ends, -ends);
    const kept =
        lines.length <= 2 * ends
            ? lines
            : [
                  ...lines.slice(0, ends),
                  ...middle.filter(evidence.mentionsGvisor).slice(0, 1),
                  `… ${middle.length} lines left out …`,
                  ...lines.slice(-ends),
              ];
    return kept.map(shortened).join("\n");
}

async function facts(core, exec, key, pod) {
    const found = await persist(`reading pod ${pod.name}`, () => core.readNamespacedPod(pod));
    if (found.metadata.uid !== pod.uid) {
        throw new Error(
            `pod ${pod.name} is another one now (uid ${found.metadata.uid}, expected ${pod.uid}); run up again`,
        );
    }
    const target = { ...pod, container: found.spec.containers[0].name };
    const [uname, dmesg] = await Promise.all([
        persist(`uname in ${pod.name}`, () => run(exec, target, ["uname", "-r"])),
        persist(`dmesg in ${pod.name}`, () => run(exec, target, ["dmesg"])),
    ]);
    if (uname.code !== 0) {
        throw new Error(`uname -r in ${pod.name} ended with exit code ${uname.code}: ${uname.text}`);
    }
    // dmesg fails where the kernel keeps its log to itself: that refusal is the finding.
    return [key, { kernel: uname.text, dmesg: bounded(dmesg.text) }];
}

/** @returns what each pod says, by its key */
export async function main(input) {
    const config = new KubeConfig();
    config.loadFromString(input.kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const exec = new Exec(config);
    const all = await Promise.all(Object.entries(input.pods).map(([key, pod]) => facts(core, exec, key, pod)));
    return Object.fromEntries(all);
}
