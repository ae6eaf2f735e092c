import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import { utils } from "ssh2";
import { operatorKubeconfig } from "../../components/cluster/kubeconfig";
import type { Machine, Sources } from "../../components/contracts";
import { GcpTarget, publicKey, resourcePrefix } from "../../components/targets/gcp/gcpTarget";
import { type GcpSettings, gcpSettings } from "../../components/targets/gcp/settings";
import { upstreamSources } from "../../components/targets/upstream";
import { promiseOf, type Recorded, record } from "../helpers/mocks";
import { root } from "../helpers/program";

const operator = utils.generateKeyPairSync("ed25519");
const versions = { kubernetesVersion: "", containerdVersion: "", gvisorVersion: "", mirror: "", mirrorFingerprint: "" };
const bootScript = fs.readFileSync("scripts/on-machine/gcp/boot.sh", "utf8");
const snapshotFile = path.join(root, "test/unit/snapshots/gcp.json");

/** What Google would answer. */
function google({ type, name, inputs }: Recorded): Record<string, unknown> {
    switch (type) {
        case "gcp:compute/instance:Instance": {
            const node = name.replace(/^gcp-|-instance$/g, "");
            const [first] = inputs.networkInterfaces as object[];
            const networkIp = `10.20.0.${node === "control-plane" ? 2 : 2 + Number(node.at(-1))}`;
            return { instanceId: `id-of-${node}`, networkInterfaces: [{ ...first, networkIp }] };
        }
        case "gcp:compute/address:Address":
            return { address: "198.51.100.1" };
        case "gcp:serviceaccount/account:Account":
            return { email: `${inputs.accountId}@my-project-123.iam.gserviceaccount.com` };
        case "command:local:Command":
            return { stdout: name === "gcp-key" ? operator.private : `ssh-ed25519 key-of-${name}`, stderr: "" };
        default:
            assert.match(type, /^(gcp:compute\/|pulumi:providers:gcp$|runtime-sandboxes:target:)/);
            return {};
    }
}

interface Described {
    readonly name: string;
    readonly address: string;
    readonly identity: string;
    readonly connection: types.input.remote.ConnectionArgs;
    readonly secret: boolean;
    readonly shell: string | undefined;
}

interface Run {
    readonly resources: readonly Recorded[];
    readonly ignored: ReadonlyMap<string, readonly string[]>;
    readonly target: { readonly controlPlane: Described; readonly workers: readonly Described[] };
    readonly sources: Sources;
    readonly apiEndpoint: string;
    all(type: string): readonly Recorded[];
    get(name: string): Recorded;
}

async function described({ name, address, identity, connection, shell }: Machine): Promise<Described> {
    const secret = await pulumi.isSecret(connection);
    const resolved = await promiseOf(connection);
    return {
        name,
        address: await promiseOf(address),
        identity: await promiseOf(identity),
        connection: resolved,
        secret,
        shell,
    };
}

/** Makes the target under mocks. */
async function make(overrides: Record<string, unknown> = {}, workers = ["worker-1", "worker-2"]): Promise<Run> {
    const gcp: GcpSettings = gcpSettings.parse({
        project: "my-project-123",
        region: "us-central1",
        adminRanges: ["203.0.113.7/32"],
        ...overrides,
    });
    const ignored = new Map<string, readonly string[]>();
    const original = MockMonitor.prototype.registerResource;
    // The recorder does not look at this option.
    MockMonitor.prototype.registerResource = function (request, callback) {
        ignored.set(request.getName(), request.getIgnorechangesList());
        return original.call(this, request, callback);
    };
    try {
        const mocks = { project: "runtime-sandboxes", stack: "mocked", provide: google };
        const [made, resources] = await record(mocks, async () => {
            const target = new GcpTarget("gcp", { settings: { ...versions, workers }, gcp, stack: "dev" });
            return {
                target: {
                    controlPlane: await described(target.controlPlane),
                    workers: await Promise.all(target.workers.map(described)),
                },
                sources: await promiseOf(target.sources),
                apiEndpoint: await promiseOf(target.apiEndpoint),
            };
        });
        const byName = [...resources].sort((a, b) => (a.name < b.name ? -1 : 1));
        const all = (type: string) => byName.filter((one) => one.type === type);
        const get = (name: string) => {
            const found = resources.find((one) => one.name === name);
            assert.ok(found, `nothing is named ${name}`);
            return found;
        };
        return { ...made, resources, ignored, all, get };
    } finally {
        MockMonitor.prototype.registerResource = original;
    }
}

/** The whole graph as text that is the same on each run. */
function snapshot({ resources, ignored, target, apiEndpoint }: Run): string {
    const graph = resources
        .map((one) => ({
            name: one.name,
            type: one.type,
            parent: one.parent?.name,
            provider: one.provider?.name,
            inputs: one.inputs,
            secretInputs: one.secretInputs,
            secretOutputs: one.additionalSecretOutputs,
            waitsFor: one.dependencies.map(({ name }) => name).sort(),
            ignoreChanges: ignored.get(one.name),
            deleteBeforeReplace: one.deleteBeforeReplace,
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    return `${JSON.stringify({ graph, target, apiEndpoint }, null, 2)}\n`
        .replaceAll(JSON.stringify(bootScript), '"(scripts/on-machine/gcp/boot.sh)"')
        .replaceAll(JSON.stringify(operator.private), '"(private key)"')
        .replaceAll(operator.public.split(" ")[1] ?? "", "(public key)");
}

const instanceType = "gcp:compute/instance:Instance";
const firewallType = "gcp:compute/firewall:Firewall";

describe("GcpTarget", () => {
    let run: Run;
    before(async () => {
        run = await make();
    });

    it("is this graph of resources (UPDATE_SNAPSHOTS=1 rewrites it)", () => {
        const now = snapshot(run);
        if (process.env.UPDATE_SNAPSHOTS) {
            fs.writeFileSync(snapshotFile, now);
        }
        assert.equal(now, fs.readFileSync(snapshotFile, "utf8"));
    });

    it("makes all in the project and region of the settings, below one component", () => {
        const google = run.get("gcp-google");
        assert.deepEqual(google.inputs, { project: "my-project-123", region: "us-central1" });
        for (const one of run.resources) {
            const top = one.name === "gcp";
            assert.ok(top || one.name.startsWith(`${one.parent?.name}-`), one.name);
            assert.equal(one.provider, one.type.startsWith("gcp:") ? google : undefined, one.name);
        }
    });

    it("has a network without default subnets, with a way out and no way in", () => {
        assert.equal(run.get("gcp-network-vpc").inputs.autoCreateSubnetworks, false);
        assert.equal(run.get("gcp-network-subnet").inputs.ipCidrRange, "10.20.0.0/24");
        const { natIpAllocateOption, sourceSubnetworkIpRangesToNat, subnetworks } = run.get("gcp-network-nat").inputs;
        assert.deepEqual(
            [natIpAllocateOption, sourceSubnetworkIpRangesToNat, subnetworks],
            [
                "AUTO_ONLY",
                "LIST_OF_SUBNETWORKS",
                [{ name: "gcp-network-subnet-id", sourceIpRangesToNats: ["PRIMARY_IP_RANGE"] }],
            ],
        );
    });

    it("opens these ports and no others: from the outside two, on the control plane, to administrators", () => {
        const [controlPlane, worker] = ["sandboxes-dev-control-plane", "sandboxes-dev-worker"];
        const tcp = (...ports: string[]) => [{ protocol: "tcp", ports }];
        const rules = run.all(firewallType).map(({ name, inputs }) => {
            const { allows, sourceRanges, sourceTags, targetTags, direction, denies, ...rest } = inputs;
            assert.deepEqual(Object.keys(rest).sort(), ["description", "name", "network"]);
            assert.deepEqual([direction, denies], ["INGRESS", undefined]);
            return [name.replace("gcp-network-allow-", ""), allows, sourceRanges ?? sourceTags, targetTags];
        });
        assert.deepEqual(rules, [
            ["admin", tcp("22", "6443"), ["203.0.113.7/32"], [controlPlane]],
            ["api", tcp("6443"), [worker], [controlPlane]],
            ["jump", tcp("22"), [controlPlane], [worker]],
            ["kubelet", tcp("10250"), [controlPlane], [worker]],
            ["pods", [{ protocol: "udp", ports: ["8472"] }], [controlPlane, worker], [controlPlane, worker]],
        ]);
    });

    it("gives the machines an account that no role is given to", () => {
        assert.deepEqual(
            run.resources.filter(({ type }) => /iam|projects\//i.test(type)).map(({ name }) => name),
            [],
        );
        for (const { inputs } of run.all(instanceType)) {
            assert.deepEqual(inputs.serviceAccount, {
                email: "sandboxes-dev@my-project-123.iam.gserviceaccount.com",
                scopes: ["https://www.googleapis.com/auth/userinfo.email"],
            });
        }
    });

    it("makes shielded machines that let in the stack's own key only", () => {
        const machines = run.all(instanceType);
        assert.deepEqual(
            machines.map(({ inputs }) => [inputs.name, inputs.zone, inputs.tags]),
            [
                ["sandboxes-dev-control-plane", "us-central1-a", ["sandboxes-dev-control-plane"]],
                ["sandboxes-dev-worker-1", "us-central1-a", ["sandboxes-dev-worker"]],
                ["sandboxes-dev-worker-2", "us-central1-b", ["sandboxes-dev-worker"]],
            ],
        );
        for (const { name, inputs } of machines) {
            assert.deepEqual(inputs.shieldedInstanceConfig, {
                enableSecureBoot: true,
                enableVtpm: true,
                enableIntegrityMonitoring: true,
            });
            assert.deepEqual(inputs.metadata, {
                "ssh-keys": `sandboxes:${operator.public.split(" ").slice(0, 2).join(" ")} sandboxes`,
                "block-project-ssh-keys": "TRUE",
                "enable-oslogin": "FALSE",
                "enable-guest-attributes": "TRUE",
                "serial-port-enable": "FALSE",
                "startup-script": bootScript,
            });
            assert.equal(inputs.canIpForward, false, name);
            assert.equal("metadataStartupScript" in inputs, false);
            assert.equal(inputs.deletionProtection, false);
        }
    });

    it("gives one machine an external address, the control plane", () => {
        const outside = run.all(instanceType).map(({ name, inputs }) => {
            const [first, ...others] = inputs.networkInterfaces as { accessConfigs: object[] }[];
            assert.deepEqual(others, []);
            return [name, first?.accessConfigs];
        });
        assert.deepEqual(outside, [
            ["gcp-control-plane-instance", [{ natIp: "198.51.100.1" }]],
            ["gcp-worker-1-instance", []],
            ["gcp-worker-2-instance", []],
        ]);
        assert.equal(run.all("gcp:compute/address:Address").length, 1);
    });

    it("takes the image by its family, and keeps each machine's when there is a newer one", () => {
        for (const { name, inputs } of run.all(instanceType)) {
            assert.deepEqual(inputs.bootDisk, {
                autoDelete: true,
                initializeParams: {
                    image: "projects/debian-cloud/global/images/family/debian-12",
                    size: 30,
                    type: "pd-balanced",
                },
            });
            assert.deepEqual(run.ignored.get(name), ["bootDisk.initializeParams.image"]);
        }
    });

    it("pins the host key of each machine, for as long as it is this machine", () => {
        for (const node of ["control-plane", "worker-1", "worker-2"]) {
            const { inputs, dependencies } = run.get(`gcp-${node}-host-key`);
            const zone = node === "worker-2" ? "us-central1-b" : "us-central1-a";
            assert.equal(
                inputs.create,
                `node scripts/on-host.mjs gcp-host-key --project my-project-123 --zone ${zone} ` +
                    `--instance sandboxes-dev-${node} --resource gcp-${node}-instance`,
            );
            assert.deepEqual(inputs.triggers, [`id-of-${node}`]);
            assert.equal(inputs.delete, undefined);
            assert.ok(dependencies.some(({ name }) => name === `gcp-${node}-instance`));
        }
    });

    it("boots machines when they can reach package repositories and be reached", () => {
        const needed = [...run.all(firewallType), run.get("gcp-network-nat")];
        for (const { name, dependencies, deleteBeforeReplace } of run.all(instanceType)) {
            assert.deepEqual(
                needed
                    .filter((one) => !dependencies.includes(one))
                    .map((one) => `${name} does not wait for ${one.name}`),
                [],
            );
            assert.equal(deleteBeforeReplace, true);
        }
    });

    it("is reached at the control plane, and through it at the workers, with pinned host keys at each hop", () => {
        const login = (node: string) => ({
            user: "sandboxes",
            hostKey: `ssh-ed25519 key-of-gcp-${node}-host-key`,
            privateKey: operator.private,
            dialErrorLimit: 30,
            perDialTimeout: 15,
        });
        const entry = { host: "198.51.100.1", port: 22, ...login("control-plane") };
        assert.deepEqual(run.target.controlPlane, {
            name: "control-plane",
            address: "10.20.0.2",
            identity: "id-of-control-plane",
            connection: entry,
            secret: true,
            shell: "sudo -n bash",
        });
        assert.deepEqual(
            run.target.workers,
            [1, 2].map((number) => ({
                name: `worker-${number}`,
                address: `10.20.0.${2 + number}`,
                identity: `id-of-worker-${number}`,
                connection: { host: `10.20.0.${2 + number}`, port: 22, ...login(`worker-${number}`), proxy: entry },
                secret: true,
                shell: "sudo -n bash",
            })),
        );
        assert.equal(run.apiEndpoint, "198.51.100.1:6443");
    });

    it("keeps the private key out of everything but the connections", () => {
        assert.deepEqual(run.get("gcp-key").additionalSecretOutputs, ["stdout"]);
        for (const { name, inputs } of run.resources) {
            assert.ok(!JSON.stringify(inputs).includes("PRIVATE KEY"), name);
        }
        // The public one is no secret: a plan shows who may log in.
        assert.deepEqual(
            run.resources.filter(({ secretInputs }) => secretInputs.length > 0),
            [],
        );
    });

    it("installs from upstream", () => {
        assert.deepEqual(run.sources, upstreamSources(versions));
    });

    it("makes machines as the settings say", async () => {
        const { all } = await make({
            zones: ["us-central1-f"],
            controlPlaneMachineType: "n2-standard-4",
            workerMachineType: "c3-standard-8",
            spot: true,
            diskSizeGb: 50,
            diskType: "pd-ssd",
            imageProject: "my-images",
            imageFamily: "hardened",
            labels: { team: "blue" },
            deletionProtection: true,
        });
        const [controlPlane, ...workers] = all(instanceType).map(({ inputs }) => inputs);
        const labels = { team: "blue", stack: "sandboxes-dev", "managed-by": "pulumi" };
        assert.deepEqual(controlPlane?.labels, { ...labels, role: "control-plane" });
        assert.equal(controlPlane?.machineType, "n2-standard-4");
        assert.deepEqual(controlPlane?.scheduling, {
            provisioningModel: "STANDARD",
            automaticRestart: true,
            onHostMaintenance: "MIGRATE",
        });
        for (const worker of workers) {
            assert.deepEqual(worker.labels, { ...labels, role: "worker" });
            assert.deepEqual(
                [worker.machineType, worker.zone, worker.deletionProtection, worker.desiredStatus],
                ["c3-standard-8", "us-central1-f", true, "RUNNING"],
            );
            assert.deepEqual(worker.scheduling, {
                provisioningModel: "SPOT",
                preemptible: true,
                automaticRestart: false,
                onHostMaintenance: "TERMINATE",
                instanceTerminationAction: "STOP",
            });
            assert.deepEqual((worker.bootDisk as { initializeParams: object }).initializeParams, {
                image: "projects/my-images/global/images/family/hardened",
                size: 50,
                type: "pd-ssd",
            });
        }
    });

    it("has no external address at all where administrators come through Identity-Aware Proxy", async () => {
        const { all, get, target, apiEndpoint } = await make({ adminRanges: ["iap"] });
        assert.deepEqual(all("gcp:compute/address:Address"), []);
        for (const { inputs } of all(instanceType)) {
            assert.deepEqual((inputs.networkInterfaces as { accessConfigs: object[] }[])[0]?.accessConfigs, []);
        }
        assert.deepEqual(get("gcp-network-allow-admin").inputs.sourceRanges, ["35.235.240.0/20"]);
        const { host, port, hostKey } = target.controlPlane.connection;
        assert.deepEqual([host, port, hostKey], ["127.0.0.1", 10022, "ssh-ed25519 key-of-gcp-control-plane-host-key"]);
        assert.deepEqual(target.workers[0]?.connection.proxy, target.controlPlane.connection);
        assert.equal(apiEndpoint, "127.0.0.1:16443");
    });

    it("changes nothing about a worker when another one comes or goes", async () => {
        const more = await make({}, ["worker-2", "worker-5"]);
        assert.deepEqual(more.get("gcp-worker-2-instance").inputs, run.get("gcp-worker-2-instance").inputs);
    });

    it("can be planned before anything exists", async () => {
        const gcp = gcpSettings.parse({ project: "my-project-123", region: "us-central1", adminRanges: ["iap"] });
        const mocks = { project: "runtime-sandboxes", stack: "mocked", provide: google, preview: true };
        const [, resources] = await record(mocks, async () => {
            new GcpTarget("gcp", { settings: { ...versions, workers: ["worker-1"] }, gcp, stack: "dev" });
        });
        assert.equal(resources.filter(({ type }) => type === instanceType).length, 2);
    });
});

describe("resourcePrefix", () => {
    it("is the stack's name where Google takes it, else a short one of its own", () => {
        assert.equal(resourcePrefix("dev"), "sandboxes-dev");
        const odd = ["Dev", "dev_", "a-rather-long-name-of-a-stack", "a-rather-long-name-of-b-stack", "----", "1.2"];
        const prefixes = odd.map(resourcePrefix);
        assert.equal(new Set(prefixes).size, odd.length);
        for (const prefix of prefixes) {
            assert.match(prefix, /^[a-z][-a-z0-9]{4,20}[a-z0-9]$/);
        }
    });
});

describe("publicKey", () => {
    it("is the public half of the private key", () => {
        assert.equal(publicKey(operator.private), `${operator.public} sandboxes`.replace("  ", " "));
    });

    it("says what to do about a text that is no key", () => {
        assert.throws(() => publicKey("no key"), /SSH key cannot be read .* make a new one/);
    });
});

describe("operatorKubeconfig", () => {
    const kubeconfig = [
        "apiVersion: v1",
        "clusters:",
        "- cluster:",
        "    certificate-authority-data: QUJD",
        "    server: https://10.20.0.2:6443",
        "  name: kubernetes",
        "kind: Config",
        "",
    ].join("\n");

    it("names the operator's way to the API server, and the name that its certificate has", () => {
        assert.equal(
            operatorKubeconfig(kubeconfig, "198.51.100.1:6443"),
            kubeconfig.replace(
                "    server: https://10.20.0.2:6443\n",
                "    server: https://198.51.100.1:6443\n    tls-server-name: kubernetes\n",
            ),
        );
    });

    it("refuses a text without a server", () => {
        assert.throws(() => operatorKubeconfig("kind: Config\n", "x:1"), /names no server/);
    });
});
