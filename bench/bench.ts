import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { podNetworkManifest } from "../components/cluster/podNetwork";
import { recordedSteps } from "../test/e2e/facts";
import { root, TestStack } from "../test/e2e/stack";
import { median, missed, writePage } from "./figures";

/** Runs of each kind; the figures are their medians. */
const rounds = Number(process.env.ROUNDS ?? "3");
const results = path.join(root, "bench", "results.md");
const taken = new Map<string, number[]>();

const progress = (text: string) => process.stderr.write(`bench: ${text}\n`);

function take(figure: string, ...values: number[]): void {
    taken.set(figure, [...(taken.get(figure) ?? []), ...values]);
    progress(`${figure}: ${values.map((value) => value.toFixed(2)).join(", ")}`);
}

async function time(figure: string, action: () => Promise<unknown> | unknown): Promise<void> {
    const start = performance.now();
    await action();
    take(figure, (performance.now() - start) / 1000);
}

function run(command: string, args: readonly string[], options: object = {}): string {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8", ...options });
    if (status !== 0) {
        throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr ?? ""}`);
    }
    return stdout;
}

/** The steps by hand, with machines of their own. */
class ByHand {
    private readonly directory = path.join(root, ".local", "bench-by-hand");
    private readonly env: NodeJS.ProcessEnv;

    constructor() {
        const manifest = path.join(root, ".cache", "bench-network.json");
        fs.writeFileSync(manifest, podNetworkManifest("mirror"));
        this.env = {
            ...process.env,
            STACK_DIR: this.directory,
            CACHE_DIR: path.join(root, ".cache"),
            MIRROR_DIR: path.join(root, ".cache", "mirror"),
            BRIDGE: "sbxhand0",
            RANGE: "10.87.0.0/24",
            MANIFEST: manifest,
        };
        this.env.SOURCES = this.bash("mirror/mirror.sh", "sources", "--kind", "auto");
    }

    private bash(...args: string[]): string {
        return run("bash", args, { env: this.env, stdio: ["ignore", "pipe", "inherit"] });
    }

    /** @param nodeImage the step that the node image of the machines is made by; without one they are plain */
    public async time(figure: string, workers: number, nodeImage?: Buffer): Promise<void> {
        if (nodeImage !== undefined) {
            fs.mkdirSync(this.directory, { recursive: true });
            fs.writeFileSync(path.join(this.directory, "prepare-node"), nodeImage);
        }
        const machines = nodeImage === undefined ? "plain" : "prepared";
        await time(figure, () => {
            const seen = this.bash("bench/by-hand.sh", "up", String(workers), machines);
            const proofs = seen.match(/Ready!/g)?.length;
            if (proofs !== workers) {
                throw new Error(`by hand proved ${proofs ?? 0} of ${workers} workers:\n${seen}`);
            }
        });
        this.down();
    }

    public down(): void {
        this.bash("bench/by-hand.sh", "down", "4");
    }
}

/** An empty TypeScript program, with this project's SDK and compiler; returns what runs `pulumi up` there. */
async function emptyProgram(): Promise<() => void> {
    const directory = path.join(root, ".cache", "bench-empty");
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true });
    for (const name of ["node_modules", "tsconfig.json"]) {
        fs.symlinkSync(path.join(root, name), path.join(directory, name));
    }
    fs.writeFileSync(path.join(directory, "package.json"), "{}");
    fs.writeFileSync(path.join(directory, "index.ts"), "export {};\n");
    fs.writeFileSync(
        path.join(directory, "Pulumi.yaml"),
        "name: empty\nruntime: nodejs\nbackend: { url: 'file://.' }\n",
    );
    const { pulumiEnvironment } = await import(path.join(root, "cli", "environment.ts"));
    const toolchain = JSON.parse(fs.readFileSync(path.join(root, ".cache", "toolchain.json"), "utf8"));
    const env = pulumiEnvironment(toolchain, process.env, true);
    const pulumi = (...args: string[]) => run("pulumi", [...args, "--non-interactive"], { cwd: directory, env });
    pulumi("stack", "init", "empty");
    const up = () => void pulumi("up", "--yes", "--skip-preview", "--stack", "empty");
    up(); // fills Node's compile cache
    return up;
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

/** The connection to a machine of a stack. */
function connectionTo(stack: TestStack, machine: string) {
    const read = (...file: string[]) => fs.readFileSync(path.join(stack.files, ...file), "utf8");
    const [host = "", ...key] = read("machines", machine, "known_hosts").trim().split(" ");
    return { host, hostKey: key.join(" "), privateKey: read("id_ed25519") };
}

/** Asks a worker for all of its pods, of which there are 100, half of them in sandboxes. */
function askForPods(stack: TestStack): void {
    const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    const there = Number(stack.on("worker-1", "crictl pods --state ready --quiet 2>/dev/null | wc -l"));
    const items = Array.from({ length: 100 - there }, (_, index) => ({
        ...{ apiVersion: "v1", kind: "Pod", metadata: { name: `many-${index}`, labels: { many: "yes" } } },
        spec: {
            ...{ nodeName: "worker-1", terminationGracePeriodSeconds: 0, automountServiceAccountToken: false },
            runtimeClassName: index % 2 === 0 ? "myclass" : undefined,
            containers: [
                {
                    ...{ name: "main", image: "docker.io/library/nginx:1.28", imagePullPolicy: "IfNotPresent" },
                    command: ["sleep", "infinity"],
                },
            ],
        },
    }));
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    stack.on("control-plane", `${kubectl} create -f - <<'JSON'\n${list}\nJSON`);
    stack.on("control-plane", `${kubectl} wait --for condition=Ready pod -l many=yes --timeout 600s`);
    const input = JSON.stringify(connectionTo(stack, "worker-1"));
    const { pods, seconds } = JSON.parse(run("node", [path.join("bench", "pods.mts")], { input }));
    if (pods !== 100) {
        throw new Error(`worker-1 told of ${pods} pods, not of 100`);
    }
    take("pods", ...seconds);
}

/**
 * Looks at a worker that is as it should be, which `npm run up` and `npm run drift` do for all workers side by side; and
 * rounds over SSH that do nothing, to compare with.
 */
function look(stack: TestStack): void {
    const step = recordedSteps(stack).find(({ call }) => call.includes("containerd configuration"));
    if (step === undefined) {
        throw new Error("the state has no step that installs gVisor");
    }
    const input = JSON.stringify({ connection: connectionTo(stack, step.machine), step: step.stdin });
    const seconds = JSON.parse(run("node", [path.join("bench", "look.mts")], { input })) as Record<string, number[]>;
    take("round", ...(seconds.empty ?? []));
    take("look", ...(seconds.look ?? []));
}

/** Size of the stack's state, in KB. */
function stateSize(stack: TestStack): number {
    return fs.statSync(path.join(root, ".pulumi", "stacks", "runtime-sandboxes", `${stack.name}.json`)).size / 1000;
}

async function main(): Promise<void> {
    const stack = new TestStack("bench", { workers: "1", bridge: "sbxbench0", addressRange: "10.80.0.0/24" });
    const hand = new ByHand();
    const workers = (count: number) => stack.configure({ workers: String(count) });
    const destroyed = async (action: () => Promise<unknown>) => {
        await action();
        await stack.run(["destroy"]);
    };
    try {
        const empty = await emptyProgram();
        // Sets up what is missing, the node image too, outside the figures.
        await stack.run(["up"]);
        const nodeImage = fs.readFileSync(path.join(stack.files, "prepare-node"));
        await stack.run(["destroy"]);
        const kinds: (() => Promise<unknown>)[] = [
            () => hand.time("hand", 1),
            () => hand.time("handImage", 1, nodeImage),
            () => hand.time("hand4", 4, nodeImage),
            () => time("empty", empty),
            () =>
                destroyed(async () => {
                    workers(1);
                    await time("preview", () => stack.run(["preview"]));
                    await time("up", () => stack.run(["up"]));
                    take("upImage", ...(taken.get("up") ?? []).slice(-1));
                    await time("nothing", () => stack.run(["up"]));
                    look(stack);
                    take("controlPlane", memory(stack, "control-plane"));
                    askForPods(stack);
                }),
            () =>
                destroyed(async () => {
                    workers(4);
                    await time("up4", () => stack.run(["up"]));
                    const four = stateSize(stack);
                    workers(8);
                    await stack.run(["up"]);
                    take("state", (stateSize(stack) - four) / 4);
                    await time("nothing8", () => stack.run(["up"]));
                }),
            () =>
                destroyed(async () => {
                    workers(12);
                    await time("up12", () => stack.run(["up"]));
                    const each = Array.from({ length: 12 }, (_, index) => memory(stack, `worker-${index + 1}`));
                    take("worker", median(each));
                }),
        ];
        for (let round = 0; round < rounds; round++) {
            for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
                await kind();
            }
        }
        const commit = run("git", ["describe", "--always", "--dirty"]).trim();
        writePage(results, taken, rounds, commit);
        process.stdout.write(fs.readFileSync(results, "utf8"));
        const late = missed(taken);
        for (const goal of late) {
            progress(`missed: ${goal}`);
        }
        process.exitCode = late.length === 0 ? 0 : 1;
    } finally {
        hand.down();
        await stack.remove();
    }
}

main().catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
});
