// What Pulumi is asked.
import { Failure } from "./failure.ts";
import { askPulumi, lastLine, type Pulumi } from "./run.ts";

export type { Pulumi };

/**
 * What Pulumi answers, from its standard output.
 *
 * @param tried the failure's sentence without its reason
 * @throws {Failure} with the last line that Pulumi prints, if its exit code is not 0
 */
export async function answerOf(
    pulumi: Pulumi,
    args: readonly string[],
    tried: string,
    options: Parameters<typeof askPulumi>[2] = {},
): Promise<string> {
    const { code, stdout, stderr } = await askPulumi(pulumi, args, options);
    if (code !== 0) {
        throw new Failure(`${tried}: ${lastLine(stderr.trim() || stdout).replace(/^error: /, "")}`);
    }
    return stdout;
}
