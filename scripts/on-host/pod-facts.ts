// Captures `uname -r` and `dmesg` in pods through the Kubernetes exec API.
//
// stdin:  {"kubeconfig": text, "pods": {KEY: {"namespace", "name", "uid"}}}; further fields only tell captures apart
// stdout: {KEY: {"kernel", "dmesg": without its middle where it is long}}

import { type CoreV1Api, Exec } from "@kubernetes/client-node";
import evidence from "../../components/evidence.cjs";
import { configOf, coreOf } from "./api.ts";
import { persist, run } from "./exec.ts";

interface Target {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
}

interface PodFacts {
    readonly kernel: string;
    readonly dmesg: string;
}

/** Lines that are kept at each end of a log, and characters of a line. gVisor's own log has fewer. */
const [ends, width] = [20, 400];

const shortened = (line: string) =>
    line.length > width ? `${line.slice(0, width)} … ${line.length - width} characters left out` : line;

/**
 * A log without its middle: some workers let a pod read all of theirs, which is long, tells more of the machine than anybody
 * should find in outputs, and proves no more than its ends. A line that only gVisor writes stays.
 */
function bounded(log: string): string {
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

async function factsOf(core: CoreV1Api, exec: Exec, pod: Target): Promise<PodFacts> {
    const found = await persist(`reading pod ${pod.name}`, () => core.readNamespacedPod(pod));
    const uid = found.metadata?.uid;
    if (uid !== pod.uid) {
        throw new Error(`pod ${pod.name} has been recreated (uid ${uid}, expected ${pod.uid}); run up again`);
    }
    const target = { ...pod, container: found.spec?.containers[0]?.name ?? "" };
    const [uname, dmesg] = await Promise.all([
        persist(`uname in ${pod.name}`, () => run(exec, target, ["uname", "-r"])),
        persist(`dmesg in ${pod.name}`, () => run(exec, target, ["dmesg"])),
    ]);
    if (uname.code !== 0) {
        throw new Error(`uname -r in ${pod.name} ended with exit code ${uname.code}: ${uname.text}`);
    }
    // dmesg fails where the kernel keeps its log to itself: that refusal is the finding.
    return { kernel: uname.text, dmesg: bounded(dmesg.text) };
}

/** @returns what each pod says, by its key */
export async function main({
    kubeconfig,
    pods,
}: {
    readonly kubeconfig: string;
    readonly pods: Readonly<Record<string, Target>>;
}): Promise<Record<string, PodFacts>> {
    const [core, exec] = [coreOf(kubeconfig), new Exec(configOf(kubeconfig))];
    const all = Object.entries(pods).map(async ([key, pod]) => [key, await factsOf(core, exec, pod)] as const);
    return Object.fromEntries(await Promise.all(all));
}
