// An entry of the output `workers`.
import { z } from "zod";
import { count, kernel, names, sha256, text } from "./forms.ts";

const vulnerability = z
    .object({
        id: text.describe('For example "CVE-2026-95839".'),
        component: z.enum(["gvisor", "containerd", "runc", "kubernetes"]),
        version: z.string().describe("What the worker has; of Kubernetes that of kubelet."),
        fixed: text.describe("First release of its branch where it is fixed; missing where there is none.").optional(),
        option: text
            .describe("NAME=VALUE of the flag of runsc that opens it again, where the version does not have it.")
            .optional(),
        summary: text,
        source: text.describe("URL."),
        accepted: z.boolean().describe("Whether the setting acceptVulnerabilities names it."),
    })
    .meta({ id: "vulnerability" });

const facts = z
    .object({
        os: z.object({ id: z.string(), version: z.string(), name: z.string() }).partial(),
        architecture: text.describe("`uname -m`."),
        kernel,
        cgroupVersion: z.literal([1, 2]),
        kubeletCgroupDriver: z
            .enum(["systemd", "cgroupfs", ""])
            .describe("Empty where kubelet had no configuration yet."),
        ptraceScope: z.union([z.int(), z.null()]).describe("kernel.yama.ptrace_scope; null without Yama."),
        kvm: z.boolean().describe("Whether /dev/kvm is there."),
        freeMiB: count.describe("Free disk below /usr and /var/lib, the smaller one."),
        apt: z.boolean().describe("Whether the machine has apt-get."),
        runc: z.string().describe("Version; empty where there was none."),
        kubelet: z.string().describe("Version; empty where there was none."),
        managers: names.describe('Other programs that write containerd\'s configuration, for example "kops".'),
        containerd: z
            .object({
                version: z.string(),
                service: z.string().describe("`systemctl is-active` of the unit that runs it."),
                killMode: z.string().describe('KillMode of that unit; "process" leaves pods alone.'),
                schema: z
                    .union([z.int(), z.string(), z.null()])
                    .describe("`version` of the root file as written on disk."),
                configPath: z.string(),
                dropIns: z.string().describe("Directory of k0s's drop-ins; empty without k0s."),
                imports: names,
                systemdCgroup: z.union([z.boolean(), z.null()]).describe("Of runc."),
                handlers: names,
            })
            .partial(),
        runsc: z
            .object({
                version: z.string().describe("Empty where there was none."),
                path: z.string(),
                package: z.string(),
                shim: z.string(),
            })
            .partial(),
    })
    .partial()
    .meta({ id: "facts", description: "What the machine was like before anything was changed." });

const evidence = z
    .object({
        declared: z
            .object({
                sha256,
                handlers: names,
                options: z
                    .record(z.string(), z.record(z.string(), z.string()))
                    .describe("Flags of runsc, by handler.")
                    .optional(),
            })
            .describe("The configuration on disk."),
        loaded: names.describe("Handlers that containerd has."),
        serving: names.describe("Handlers that the node offers and a proven test pod ran behind."),
    })
    .meta({ id: "evidence", description: "Evidence at three levels." });

export const worker = z
    .object({
        address: text.describe("IP address or host name."),
        os: text.describe("PRETTY_NAME of os-release(5)."),
        kernel: kernel.describe("`uname -r` of the machine."),
        containerd: text.describe('Version, for example "v2.3.7".'),
        runsc: text.describe('Version, for example "release-20261116.0".'),
        handlers: names.describe("Runtime handlers that the node offers."),
        configSha256: sha256.describe("Over all that is configured for the handlers, as it is on disk."),
        survivors: names
            .describe("NAMESPACE/NAME of pods whose sandbox still runs a gVisor that has been replaced since.")
            .optional(),
        vulnerabilities: z
            .array(vulnerability)
            .describe("What was known against the worker's versions and flags of runsc at the last update.")
            .optional(),
        facts: facts.optional(),
        evidence: evidence.optional(),
    })
    .meta({ id: "worker" });
