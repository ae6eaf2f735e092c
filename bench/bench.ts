import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { podNetworkManifest } from "../components/cluster/podNetwork";
import { recordedSteps } from "../test/e2e/facts";
import { root, TestStack } from "../test/e2e/stack";

/** Runs of each kind; the figures are their medians. */
const rounds = Number(process.env.ROUNDS ?? "3");
const results = path.join(root, "bench", "results.md");

const progress = (text: string) => process.stderr.write(`bench: ${text}\n`);

function median(values: readonly number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function seconds(what: string, action: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await action();
    const taken = (performance.now() - start) / 1000;
    progress(`${what}: ${taken.toFixed(1)} s`);
    return taken;
}

/** The steps by hand, with machines of their own. */
class ByHand {
    private readonly env: NodeJS.ProcessEnv;

    constructor(private readonly workers: number) {
        const stackDir = path.join(root, ".local", "bench-by-hand");
        const manifest = path.join(root, ".cache", "bench-network.json");
        fs.writeFileSync(manifest, podNetworkManifest("mirror"));
        this.env = {
            ...process.env,
            STACK_DIR: stackDir,
            CACHE_DIR: path.join(root, ".cache"),
            MIRROR_DIR: path.join(root, ".cache", "mirror"),
            BRIDGE: "sbxhand0",
            RANGE: "10.87.0.0/24",
            MANIFEST: manifest,
        };
        this.env.SOURCES = this.bash("scripts/mirror/mirror.sh", "sources", "--kind", "auto");
    }

    private bash(...args: string[]): string {
        const run = spawnSync("bash", args, { cwd: root, env: this.env, encoding: "utf8" });
        if (run.status !== 0) {
            throw new Error(`${args.join(" ")} ended with ${run.status}:\n${run.stdout}${run.stderr}`);
        }
        return run.stdout;
    }

    public async up(): Promise<void> {
        const seen = this.bash("bench/by-hand.sh", "up", String(this.workers));
        const proofs = seen.match(/Ready!/g)?.length;
        if (proofs !== this.workers) {
            throw new Error(`by hand proved ${proofs ?? 0} of ${this.workers} workers:\n${seen}`);
        }
    }

    public down(): void {
        this.bash("bench/by-hand.sh", "down", String(this.workers));
    }
}

/** Memory that a machine's processes hold, in MiB: what its control group accounts, without the page cache. */
function memory(stack: TestStack, machine: string): number {
    const pid = stack.pid(machine);
    const groups = fs.readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
    const v1 = groups.find((line) => line.split(":")[1] === "memory");
    const directory = v1
        ? path.join("/sys/fs/cgroup/memory", v1.split(":")[2] ?? "")
        : path.join("/sys/fs/cgroup", groups[0]?.split(":")[2] ?? "");
    // The machine's own processes may sit in a child of the group that accounts for all.
    const group = directory.replace(/(runtime-sandboxes-[^/]*).*/, "$1");
    const stat = fs.readFileSync(path.join(group, "memory.stat"), "utf8");
    const field = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
    return (v1 ? field("total_rss") + field("total_shmem") : field("anon") + field("shmem") + field("slab")) / 2 ** 20;
}

interface Rounds {
    readonly empty: readonly number[];
    readonly look: readonly number[];
}

/**
 * Looks at a worker that is as it should be, which `npm run up` and `npm run drift` do for all workers side by side; and
 * rounds over SSH that do nothing, to compare with.
 */
function look(stack: TestStack): Rounds {
    const step = recordedSteps(stack).find(({ call }) => call.includes("containerd configuration"));
    if (step === undefined) {
        throw new Error("the state has no step that installs gVisor");
    }
    const read = (...file: string[]) => fs.readFileSync(path.join(stack.files, ...file), "utf8");
    const [host = "", ...key] = read("machines", step.machine, "known_hosts").trim().split(" ");
    const connection = { host, hostKey: key.join(" "), privateKey: read("id_ed25519") };
    const input = JSON.stringify({ connection, step: step.stdin });
    const { stdout, stderr } = spawnSync("node", [path.join("bench", "look.mjs")], {
        cwd: root,
        input,
        encoding: "utf8",
    });
    if (stdout === "") {
        throw new Error(`${step.machine} could not be looked at: ${stderr}`);
    }
    const rounds = JSON.parse(stdout) as Rounds;
    progress(`look at a worker: ${median(rounds.look).toFixed(2)} s, nothing: ${median(rounds.empty).toFixed(2)} s`);
    return rounds;
}

async function main(): Promise<void> {
    const network = { bridge: "sbxbench0", addressRange: "10.80.0.0/24" };
    const one = new TestStack("bench", { workers: "1", ...network });
    const byHand = new ByHand(1);
    const up: number[] = [];
    const hand: number[] = [];
    const nothing: number[] = [];
    const memories: [string, number][] = [];
    const preview: number[] = [];
    const looks: Rounds[] = [];
    try {
        // Sets up what is missing, the node image too, outside the figures.
        await one.run(["up"]);
        await one.run(["destroy"]);
        for (let round = 0; round < rounds; round++) {
            preview.push(await seconds("preview of a new stack", () => one.run(["preview"])));
            hand.push(await seconds("by hand, 1 worker", () => byHand.up()));
            byHand.down();
            up.push(await seconds("up, 1 worker", () => one.run(["up"])));
            nothing.push(await seconds("up with nothing to do", () => one.run(["up"])));
            looks.push(look(one));
            if (round === 0) {
                memories.push(["control plane", memory(one, "control-plane")], ["worker", memory(one, "worker-1")]);
            }
            await one.run(["destroy"]);
        }
        one.configure({ workers: "4" });
        const four = await seconds("up, 4 workers", () => one.run(["up"]));
        const ratio = (value: number, to: number) => (value / to).toFixed(2);
        const row = (...cells: string[]) => `| ${cells.join(" | ")} |`;
        const base = median(up);
        const empty = median(looks.flatMap((rounds) => rounds.empty));
        const looked = median(looks.flatMap((rounds) => rounds.look));
        const table = [
            row("What", "Seconds (median)", "Ratio", "Goal"),
            row("---", "---", "---", "---"),
            row("the same steps by hand", median(hand).toFixed(1), "1.00", ""),
            row("`npm run up`, 1 worker", base.toFixed(1), `${ratio(base, median(hand))} of by hand`, "at most 1.3"),
            row("`npm run up`, 4 workers", four.toFixed(1), `${ratio(four, base)} of 1 worker`, "at most 2"),
            row(
                "`npm run up`, nothing to do",
                median(nothing).toFixed(1),
                `${ratio(median(nothing), base)} of up`,
                "at most 5 s",
            ),
            row(
                "`npm run preview`, new stack",
                median(preview).toFixed(1),
                `${ratio(median(preview), base)} of up`,
                "at most 4 s",
            ),
            row("an SSH round to a worker that does nothing", empty.toFixed(2), "1.00", ""),
            row("one look at a worker", looked.toFixed(2), `${ratio(looked, empty)} of the empty round`, "under 0.3 s"),
            "",
            ...memories.map(([what, mib]) => `Memory of the ${what}: ${mib.toFixed(0)} MiB.`),
        ];
        fs.writeFileSync(
            results,
            `# Last figures\n\nWritten by \`npm run bench\`: ${rounds} of each kind, alternating, on ${os.cpus().length} cores, ` +
                `mirror and toolchain ready. By hand is bench/by-hand.sh.\n\n${table.join("\n")}\n`,
        );
        process.stdout.write(fs.readFileSync(results, "utf8"));
    } finally {
        byHand.down();
        await one.remove();
    }
}

main().catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
});
