import type * as pulumi from "@pulumi/pulumi";
import type { Step } from "../contracts";
import { hostCall, hostStep } from "../hostStep";
import type { Verdict } from "./verdict";

/**
 * Fails while a worker is not proven, so that whatever waits for it stays as it is.
 *
 * @param after what the worker has to be through, too
 */
export function provenWorker(worker: string, verdict: pulumi.Output<Verdict>, after: readonly pulumi.Resource[]): Step {
    const failed = verdict.apply(({ checks }) =>
        checks.flatMap(({ name, passed, detail }) => (passed ? [] : `${name}: ${detail}`)),
    );
    return hostStep(
        `${worker}-proven`,
        { create: hostCall("proven", []), input: { worker, failed }, triggers: failed },
        // One that fails is gone from the state, which tells the next update that the checks have to be made again.
        { dependsOn: [...after], deleteBeforeReplace: true },
    );
}
