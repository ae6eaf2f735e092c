// The source of a Node language host that runs policy packs, for a Pulumi that is built from its Go modules.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import { capture, lastLine } from "./run.ts";

/** Go package of the Node language host. */
export const languageHost = "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs";
/** Its answer to "run this policy pack", which is that it cannot. */
const refusal = "func (host *nodeLanguageHost) RunPlugin(";

/**
 * The source of the Node language host with an answer of ours to "run this policy pack". The engine leaves packs to the
 * language host; the newest one among the Go modules is older than that.
 *
 * @param go the Go command
 * @param source cli/build/language-nodejs: the pinned module, and policy/ with the answer
 * @param folder where the source is put
 * @returns folder, in which `go build .` makes the language host
 */
export async function policyHostSource(go: string, source: string, folder: string): Promise<string> {
    const env = { ...toolEnvironment(), GOWORK: "off" };
    const args = ["list", "-mod=readonly", "-f", "{{.Dir}}", languageHost];
    const { code, stdout, stderr } = await capture(go, args, { cwd: source, env });
    if (code !== 0) {
        throw new Failure(`the Go module of ${languageHost} cannot be had: ${lastLine(stderr)}.`, {
            next: "see that the Go module proxy of this machine (`go env GOPROXY`) is reached, then run again",
        });
    }
    const upstream = stdout.trim();
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    let refusals = 0;
    for (const name of readdirSync(upstream).filter((one) => one.endsWith(".go") && !one.endsWith("_test.go"))) {
        const text = readFileSync(join(upstream, name), "utf8");
        refusals += text.split(refusal).length - 1;
        writeFileSync(join(folder, name), text.replace(refusal, refusal.replace("RunPlugin", "refusePlugin")));
    }
    if (refusals !== 1) {
        throw new Failure(`the language host of ${upstream} has ${refusals} functions RunPlugin instead of one.`, {
            next: "cli/policy.ts was written for another version than versions.json pins: compare the two",
        });
    }
    for (const name of ["go.mod", "go.sum", join("policy", "run_plugin.go")]) {
        copyFileSync(join(source, name), join(folder, basename(name)));
    }
    return folder;
}
