// ssh and kubectl with what a stack's state knows: addresses, keys and host keys, the kubeconfig.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { shellQuote } from "../components/step.cjs";
import { kubeconfigOf } from "./apiServer.ts";
import { findOnPath, toolEnvironment } from "./environment.ts";
import { Failure } from "./failure.ts";
import type { Connection } from "./machines.ts";
import { cacheDir } from "./project.ts";
import type { Pulumi } from "./pulumi.ts";
import { runInTerminal } from "./run.ts";
import { pulumiOfExisting, stackName } from "./stack.ts";
import { recordedMachines, resourcesOf } from "./state.ts";

/** Writes a file, by default one that only its owner can read. @returns its path */
type Keep = (name: string, content: string, mode?: number) => string;

/** Runs an action with the stack, and a folder that only its owner can read and that goes with the action. */
async function withStack(action: (stack: string, pulumi: Pulumi, keep: Keep) => Promise<number>): Promise<number> {
    const stack = stackName();
    const pulumi = await pulumiOfExisting(stack);
    const folder = mkdtempSync(join(tmpdir(), "runtime-sandboxes-"));
    const keep: Keep = (name, content, mode = 0o600) => {
        writeFileSync(join(folder, name), content, { mode });
        return join(folder, name);
    };
    try {
        return await action(stack, pulumi, keep);
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

/** Lines of an ssh_config(5) for one hop, and for its jump host. The host key is the pinned one and no other. */
function sshConfig(name: string, hop: Connection, keep: Keep): string[] {
    const { host, port = 22, user = "root", hostKey, privateKey, agentSocketPath, proxy } = hop;
    // As ssh wants it: with a line's end.
    const key = privateKey && keep(`${name}.key`, `${privateKey.trimEnd()}\n`);
    return [
        `Host ${name}`,
        `HostName ${host}`,
        `Port ${port}`,
        `User ${user}`,
        `HostKeyAlias ${name}`,
        `UserKnownHostsFile ${keep(`${name}.known_hosts`, `${name} ${hostKey}\n`)}`,
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "LogLevel ERROR",
        ...(key ? [`IdentityFile ${key}`, "IdentitiesOnly yes"] : []),
        ...(agentSocketPath ? [`IdentityAgent ${agentSocketPath}`] : []),
        ...(proxy ? ["ProxyJump jump", "", ...sshConfig("jump", proxy, keep)] : []),
    ];
}

/** `ssh MACHINE [COMMAND]`: a shell on a machine of the stack, or a command there. @returns its exit code */
export async function ssh([machine, ...command]: readonly string[]): Promise<number> {
    return await withStack(async (stack, pulumi, keep) => {
        const found = recordedMachines(await resourcesOf(stack, pulumi));
        const connection = found.find(({ name }) => name === machine)?.connection;
        if (connection === undefined) {
            const known = found.map(({ name }) => name).join(", ");
            throw new Failure(
                `${machine ? `"${machine}" is not a machine of` : "ssh needs the name of a machine of"} stack ${stack}; ` +
                    `it has ${known || "none"}.`,
                { exitCode: 2, next: "npm run ssh -- MACHINE [COMMAND]" },
            );
        }
        return await sshTo(connection, command, keep);
    });
}

/** Runs ssh with a connection; the passphrase of its key, if it has one, comes from a file (ssh(1), SSH_ASKPASS). */
async function sshTo(connection: Connection, command: readonly string[], keep: Keep): Promise<number> {
    const config = keep("config", `${sshConfig("machine", connection, keep).join("\n")}\n`);
    const env = { ...process.env };
    if (connection.privateKeyPassword) {
        keep("askpass.secret", connection.privateKeyPassword);
        env.SSH_ASKPASS = keep("askpass", '#!/bin/sh\ncat "$0.secret"\n', 0o700);
        env.SSH_ASKPASS_REQUIRE = "force";
    }
    return await runInTerminal("ssh", ["-F", config, "machine", ...command], { env });
}

/**
 * `kubectl ARGS`: kubectl on the stack's cluster, with the kubeconfig of its output. Where this host has no kubectl, that of the
 * stack's control plane.
 *
 * @returns its exit code
 */
export async function kubectl(args: readonly string[]): Promise<number> {
    const built = join(cacheDir, "mirror-build", "bin", "kubectl");
    const program = findOnPath("kubectl", toolEnvironment()) ?? (existsSync(built) ? built : undefined);
    return await withStack(async (stack, pulumi, keep) => {
        if (program !== undefined) {
            const kubeconfig = keep("kubeconfig", await kubeconfigOf(stack, pulumi));
            return await runInTerminal(program, args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
        }
        const machines = recordedMachines(await resourcesOf(stack, pulumi));
        const connection = machines.find(({ name }) => name === "control-plane")?.connection;
        if (connection === undefined) {
            throw new Failure("kubectl is not on PATH, and the stack has no control plane of its own.", {
                next: "install it: https://kubernetes.io/docs/tasks/tools/",
            });
        }
        const sudo = connection.user && connection.user !== "root" ? ["sudo"] : [];
        const command = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", ...args].map(shellQuote);
        return await sshTo(connection, [[...sudo, ...command].join(" ")], keep);
    });
}
