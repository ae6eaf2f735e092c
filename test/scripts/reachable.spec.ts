// What is tried from inside a pod, and who has seen what of it: the program and the worker's table on this host, in a network
// namespace of their own; and answers that a pod may fake.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { textOf } from "../../components/machineScripts";
import { renderStep } from "../../components/remoteStep";
import { resultIn } from "../../components/step.cjs";
import type { Attempt, Wanted } from "../../scripts/on-host/reachableTargets";
import { root } from "../helpers/program";

const recipe = path.join(root, "mirror/build/reach");
const load = async (): Promise<typeof import("../../scripts/on-host/reachableTargets")> =>
    await import(path.join(root, "scripts/on-host/reachableTargets.ts"));

describe("reachable: the program", function () {
    this.timeout(300_000);
    let program: string;
    let scratch: string;

    before(() => {
        const architecture = process.arch === "arm64" ? "arm64" : "amd64";
        const { status, stdout, stderr } = spawnSync("bash", ["mirror/mirror.sh", "program", "reach", architecture], {
            cwd: root,
            encoding: "utf8",
        });
        assert.equal(status, 0, stderr);
        program = stdout.trim();
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "reachable-"));
    });
    after(() => fs.rmSync(scratch, { recursive: true, force: true }));

    it("passes its own tests", () => {
        const { status, stdout, stderr } = spawnSync("go", ["test", "./..."], { cwd: recipe, encoding: "utf8" });
        assert.equal(status, 0, stdout + stderr);
    });

    it("is seen by listeners and by the worker, where it gets through, and by neither where a rule refuses it", async () => {
        const { answeredIn, wordsIn, saidBy } = await load();
        const call = path.join(scratch, "connections");
        fs.writeFileSync(call, renderStep([], "test", { ADDRESSES: "127.0.0.1" }, textOf(["probe/connections.sh"])));
        const script = `
            ip link set lo up
            iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
            ${program} listen 3 127.0.0.1 >${scratch}/heard &
            until [ -s ${scratch}/heard ]; do sleep 0.1; done
            read -r first second third < <(head -n 1 ${scratch}/heard | tr -dc '0-9,\\n' | tr , ' ')
            iptables -A INPUT -p tcp --dport $second -j REJECT
            iptables -A INPUT -p tcp --dport $third -j DROP
            echo $first $second $third; echo ==
            target() { echo "{\\"id\\":\\"$1\\",\\"address\\":\\"127.0.0.1:$2\\",\\"speak\\":\\"word\\",\\"say\\":\\"$1\\"}"; }
            ${program} try "[$(target aa $first),$(target bb $second),$(target cc $third)]"; echo ==
            cat ${scratch}/heard; echo ==
            bash -s -- install <${call}
            kill %1`;
        const { status, stdout, stderr } = spawnSync("unshare", ["--net", "bash", "-euc", script], {
            encoding: "utf8",
        });
        assert.equal(status, 0, stderr);
        const [ports = "", outcomes = "", heard = "", table = ""] = stdout.split("==\n", 4).map((one) => one.trim());
        const [first, second, third] = ports.split(" ");
        const said = saidBy(outcomes);
        assert.deepEqual(said.get("aa"), { reached: true, saw: "heard" });
        assert.deepEqual([said.get("bb")?.reached, said.get("cc")?.reached], [false, false]);
        assert.deepEqual(wordsIn(heard), ["aa"]);
        const rest = stdout.slice(stdout.indexOf(table));
        const { connections } = JSON.parse(resultIn(rest)) as { connections: string[] };
        const answered = answeredIn(connections);
        assert.ok(answered.has(`TCP 127.0.0.1 127.0.0.1:${first}`), connections.join("\n"));
        assert.ok(![second, third].some((port) => answered.has(`TCP 127.0.0.1 127.0.0.1:${port}`)));
    });
});

describe("reachable: what is seen of a pod", () => {
    const from = "10.244.1.7";
    const listener = (target: Wanted["target"], ...ports: number[]): Wanted => ({
        ...{ target, protocol: "TCP", speak: "word" },
        ...{ at: ports.map((port) => `10.244.1.5:${port}`), addresses: ports.map((port) => `10.244.1.5:${port}`) },
    });
    const api: Wanted = {
        ...{ target: "api", protocol: "TCP", speak: "https", say: "/api" },
        ...{ at: ["10.96.0.1:443"], addresses: ["10.96.0.1:443", "10.77.0.10:6443"] },
    };
    const dns: Wanted = { ...api, target: "dns", protocol: "UDP", speak: "dns", at: ["10.96.0.10:53"] };
    const wanted = [listener("allowed", 1, 2, 3), listener("pod", 4, 5, 6), api, dns];
    const tcp = (to: string, port: number, mark: string) =>
        `ipv4     2 tcp      6 117 TIME_WAIT src=${from} dst=${to} sport=41234 dport=${port} src=${to} dst=${from} sport=${port} dport=41234 ${mark}mark=0 zone=0 use=2`;

    /** What comes of attempts whose words some listeners have heard, and that the worker has carried as these lines say. */
    async function probes(
        heard: (one: Wanted, attempt: Attempt, index: number) => boolean,
        lines: readonly string[],
        said = "[]",
    ) {
        const { answeredIn, attemptsOf, probesOf, saidBy } = await load();
        const attempts = attemptsOf(wanted);
        const words = new Set(
            [...attempts].flatMap(([one, all]) =>
                all.flatMap((attempt, index) => (heard(one, attempt, index) ? attempt.id : [])),
            ),
        );
        const seen = { address: from, attempts, said: saidBy(said), words, answered: answeredIn(lines) };
        return new Map(probesOf(seen).map((one) => [one.target, one]));
    }
    const allowedOnly = ({ target }: Wanted) => target === "allowed";
    const carried = tcp("10.244.1.5", 1, "[ASSURED] ");

    it("is a word of its own at each port, and the pod cannot tell the allowed ones from others", async () => {
        const { attemptsOf, shuffled } = await load();
        const attempts = shuffled(attemptsOf(wanted.slice(0, 2)));
        assert.equal(new Set(attempts.map(({ id }) => id)).size, 6);
        assert.ok(attempts.every(({ id, say, speak }) => id === say && speak === "word" && /^[0-9a-f]{24}$/.test(id)));
        const orders = Array.from({ length: 20 }, () =>
            shuffled(attemptsOf(wanted.slice(0, 2)))
                .map(({ address }) => address.at(-1))
                .join(""),
        );
        assert.ok(new Set(orders).size > 1);
    });

    it("is heard at the allowed target only if it is heard at each of its ports, at another one if at any", async () => {
        const some = await probes(({ target }, _, index) => target !== "allowed" || index > 0, []);
        assert.deepEqual([some.get("allowed")?.heard, some.get("pod")?.heard], [false, true]);
        const one = await probes(({ target }, _, index) => target === "allowed" || index === 2, []);
        assert.deepEqual([one.get("allowed")?.heard, one.get("pod")?.heard], [true, true]);
        const none = await probes(allowedOnly, []);
        assert.deepEqual([none.get("allowed")?.heard, none.get("pod")?.heard], [true, false]);
        assert.equal(none.get("pod")?.address, "10.244.1.5:4, 5, 6");
    });

    it("is what the worker has carried, where nobody of ours listens, if its table has what a listener has heard", async () => {
        const shown = await probes(allowedOnly, [carried, tcp("10.96.0.1", 443, "[ASSURED] ")]);
        assert.deepEqual([shown.get("api")?.carried, shown.get("dns")?.carried], [true, false]);
        const unanswered = await probes(allowedOnly, [
            carried,
            tcp("10.96.0.1", 443, "[UNREPLIED] "),
            tcp("10.96.0.1", 443, ""),
        ]);
        assert.equal(unanswered.get("api")?.carried, false);
        const silent = await probes(allowedOnly, [tcp("10.96.0.1", 443, "[ASSURED] ")]);
        assert.equal(silent.get("api")?.carried, undefined);
        const others = await probes(allowedOnly, [
            carried.replaceAll(from, "10.244.1.8"),
            carried.replace("dport=1 ", "dport=9 "),
        ]);
        assert.equal(others.get("api")?.carried, undefined);
    });

    it("knows both forms of the table, and datagrams", async () => {
        const { answeredIn } = await load();
        const of = (line: string) => [...answeredIn([line])];
        const plain =
            "tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=5 dport=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=5 [ASSURED] mark=0 use=1";
        assert.deepEqual(of(plain), ["TCP 10.0.0.1 10.0.0.2:80"]);
        const udp = (mark: string) =>
            `ipv4     2 udp      17 20 src=10.0.0.1 dst=10.96.0.10 sport=5 dport=53 ${mark}src=10.244.0.2 dst=10.0.0.1 sport=53 dport=5 mark=0 use=2`;
        assert.deepEqual(of(udp("")), ["UDP 10.0.0.1 10.96.0.10:53"]);
        assert.deepEqual(of(udp("[UNREPLIED] ")), []);
        assert.deepEqual(of("ipv4     2 icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1"), []);
        assert.deepEqual(of("nonsense"), []);
    });

    it("is no more than its own word in what it says: no answer, nonsense or a lie changes nothing of what was seen", async () => {
        const lines = [carried];
        const honest = await probes(allowedOnly, lines);
        for (const said of ["", "[]", "null", "{", '{"id":"x"}', "[1]", '[{"id":"x","reached":true,"saw":"y"}]']) {
            const faked = await probes(allowedOnly, lines, said);
            for (const [target, { heard, carried: seen }] of honest) {
                assert.deepEqual([faked.get(target)?.heard, faked.get(target)?.carried], [heard, seen], said);
            }
            assert.deepEqual(faked.get("api")?.said, { reached: false, saw: "the pod does not say" });
        }
    });

    it("is a word that somebody has said, not what somebody has made a listener print", async () => {
        const { wordsIn } = await load();
        const lines = [
            '{"ports":[1,2]}',
            '{"word":"0a1b","from":"10.0.0.1:5"}',
            '{"word":"\\"word\\":\\"ffff\\"","from":"x"}',
            "{",
        ];
        assert.deepEqual(wordsIn(lines.join("\n")), ["0a1b"]);
    });
});

describe("reachable: what the cluster has", () => {
    const node = { status: { addresses: [{ type: "InternalIP", address: "10.77.0.11" }] } };
    const service = (name: string, clusterIP: string) => ({
        metadata: { name, namespace: "kube-system" },
        spec: { clusterIP },
    });
    const ports = [
        { port: 53, protocol: "UDP" },
        { port: 53, protocol: "TCP" },
        { port: 9153, protocol: "TCP" },
    ];

    /** The targets of a cluster whose services have these slices, one list for each time that somebody asks for them. */
    async function targets(
        slices: readonly (readonly object[])[],
        patience?: number,
        services = [service("dns", "10.96.0.10")],
    ) {
        const { clusterTargets } = await load();
        let asked = 0;
        const core = {
            readNamespacedService: async () => service("kubernetes", "10.96.0.1"),
            listNamespacedService: async () => ({ items: services }),
        };
        const discovery = {
            listNamespacedEndpointSlice: async ({ labelSelector = "" }) => ({
                items: labelSelector.endsWith("=kubernetes")
                    ? []
                    : (slices[Math.min(asked++, slices.length - 1)] ?? []),
            }),
        };
        const found = await clusterTargets(core as never, discovery as never, node, patience);
        return new Map(found.map(({ target, at, addresses }) => [target, [at, addresses]]));
    }
    const behind = (...addresses: string[]) => [{ endpoints: addresses.map((one) => ({ addresses: [one] })), ports }];
    const empty = [{ endpoints: null, ports: null }];

    it("is the service and the pods behind it, whatever family their addresses are of", async () => {
        const found = await targets([behind("10.244.0.2", "fd00::3")]);
        assert.deepEqual(found.get("dns"), [["10.96.0.10:53"], ["10.96.0.10:53", "10.244.0.2:53", "[fd00::3]:53"]]);
        assert.deepEqual(found.get("pod"), [["10.244.0.2:53"], ["10.244.0.2:53"]]);
        assert.deepEqual(found.get("api"), [["10.96.0.1:443"], ["10.96.0.1:443"]]);
    });

    it("is waited for where the pods still start with their machine, which the API server may write as null", async () => {
        const starting = { endpoints: [{ addresses: ["10.244.0.2"], conditions: { ready: false } }], ports };
        for (const early of [empty, [], [{ endpoints: [], ports }], [{ endpoints: null, ports }], [starting]]) {
            const found = await targets([early, behind("10.244.0.2")]);
            assert.deepEqual(found.get("pod"), [["10.244.0.2:53"], ["10.244.0.2:53"]]);
        }
    });

    it("is what there is of it, where nothing starts or there is no DNS", async () => {
        const found = await targets([empty], 0);
        assert.deepEqual(found.get("dns"), [["10.96.0.10:53"], ["10.96.0.10:53"]]);
        assert.equal(found.has("pod"), false);
        for (const services of [[], [service("headless", "None")]]) {
            assert.deepEqual(
                [...(await targets([empty], undefined, services)).keys()],
                [...["metadata", "api", "api-token", "kubelet", "kubelet-read-only"]],
            );
        }
    });
});

describe("reachable: the pods", () => {
    it("have no rights, and a token only where one is asked for", async () => {
        const { reachPod } = (await import(
            path.join(root, "scripts/on-host/reachable.ts")
        )) as typeof import("../../scripts/on-host/reachable");
        const at = { node: "worker-1", image: "nginx" };
        const { spec } = reachPod(at, { run: "r", runtimeClass: "myclass" });
        assert.deepEqual(
            [spec.hostNetwork, spec.automountServiceAccountToken, spec.runtimeClassName],
            [false, false, "myclass"],
        );
        assert.equal(reachPod(at, { run: "r", host: true }).spec.hostNetwork, true);
        assert.equal(reachPod(at, { run: "r", token: true }).spec.automountServiceAccountToken, true);
        assert.deepEqual(spec.securityContext, {
            runAsNonRoot: true,
            runAsUser: 65534,
            seccompProfile: { type: "RuntimeDefault" },
        });
        assert.deepEqual(spec.containers[0]?.securityContext, {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ["ALL"] },
        });
    });
});
