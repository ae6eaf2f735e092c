// `check --live`: whether the test pods see what the outputs say, and whether new pods start in their sandboxes.
import { join } from "node:path";
import type { Outputs } from "../../schema/outputs.ts";
import { kubeconfigOf } from "../apiServer.ts";
import { toolEnvironment } from "../environment.ts";
import { Failure } from "../failure.ts";
import { capture, lastLine } from "../run.ts";
import { recordedCanaries, resourcesOf } from "../state.ts";
import type { Problem } from "./problems.ts";
import type { Stack } from "./source.ts";

/** Milliseconds for all of it: longer than new pods may take. A cluster may also never answer. */
const limit = 420_000;

/** The kubeconfig that outputs of a file hold, which is not one where Pulumi printed them without --show-secrets. */
function kubeconfigIn({ kubeconfig }: Outputs): string {
    if (kubeconfig === "[secret]") {
        throw new Failure('--live needs a kubeconfig, and in the file it is "[secret]".', {
            exitCode: 2,
            next: "give one with --kubeconfig FILE",
        });
    }
    return kubeconfig;
}

/**
 * Compares valid outputs with the cluster as it is now. Of a stack, it starts a new pod of each class on each worker, too.
 *
 * @param given kubeconfig; default: the one of the outputs
 */
export async function liveProblems(outputs: Outputs, stack?: Stack, given?: string): Promise<Problem[]> {
    const own = async () => (stack ? await kubeconfigOf(stack.name, stack.pulumi) : kubeconfigIn(outputs));
    const kubeconfig = given ?? (await own());
    if (stack === undefined) {
        process.stderr.write("no new pods are tried: a file of outputs does not say how to reach its workers\n");
    }
    const canaries = stack ? recordedCanaries(await resourcesOf(stack.name, stack.pulumi)) : [];
    const { code, stdout, stderr } = await capture(process.execPath, [join("cli", "check", "look.ts")], {
        input: JSON.stringify({ outputs, kubeconfig, canaries }),
        limit,
        env: toolEnvironment(),
    });
    if (code !== 0) {
        return [{ kind: "stale", message: `the pods cannot be looked into again: ${lastLine(stderr)}` }];
    }
    return JSON.parse(stdout) as Problem[];
}
