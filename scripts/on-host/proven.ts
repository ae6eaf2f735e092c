// Fails where a worker is not proven: the workers behind it in a rollout wait for this.
//
// stdin: {"worker": name, "failed": [checks that have not passed, as sentences]}

interface Input {
    readonly worker: string;
    readonly failed: readonly string[];
}

export async function main({ worker, failed }: Input): Promise<void> {
    if (failed.length > 0) {
        throw new Error(
            `${worker} is not proven, so no further worker is changed:\n${failed.map((one) => `  - ${one}\n`).join("")}` +
                "correct that and run up again: it makes these checks again, and goes on from there",
        );
    }
}
