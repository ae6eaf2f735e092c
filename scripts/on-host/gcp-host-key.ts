// Prints the SSH host key of a machine on Google Cloud, as its guest agent publishes it at the first boot, once the boot
// script has said that it is done.
// usage: node scripts/on-host.mjs gcp-host-key --project P --zone Z --instance I --resource R [--seconds 600]
// R is the machine's name in the stack, for messages.
//
// Guest attributes are written from inside the machine and read over Google's API: whoever answers at the machine's
// address has no part in it. https://cloud.google.com/compute/docs/metadata/manage-guest-attributes
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const text = { type: "string", default: "" } as const;
const options = { project: text, zone: text, instance: text, resource: text, seconds: { ...text, default: "600" } };

type Machine = Readonly<Record<keyof typeof options, string>>;

/** Answers after which trying again helps nobody, and what does. */
const hopeless: readonly (readonly [answer: RegExp, cause: string])[] = [
    [
        /disableGuestAttributesAccess/,
        "the organisation's policy compute.disableGuestAttributesAccess forbids guest attributes: ask for an exception for this project",
    ],
    [
        /auth login|reauthentication|no active account|invalid_grant|refresh.*credentials/i,
        "gcloud is not logged in: gcloud auth login",
    ],
    [
        /permission|forbidden|\b403\b/i,
        "the account that gcloud uses needs compute.instances.getGuestAttributes, which is in roles/compute.instanceAdmin.v1",
    ],
    [/instances\/[^/' ]+' was not found/, "there is no such machine any more: npm run up -- --refresh"],
];

/** What the machine has published, by namespace/key; or gcloud's `reply` where it has nothing yet. */
function guestAttributes({ project, zone, instance }: Machine): Readonly<Record<string, string>> {
    const call = ["compute", "instances", "get-guest-attributes", instance, "--format=json", "--quiet"];
    const { error, status, stdout, stderr } = spawnSync("gcloud", [...call, `--project=${project}`, `--zone=${zone}`], {
        encoding: "utf8",
        timeout: 60_000,
    });
    if (error && "code" in error && error.code === "ENOENT") {
        throw new Error(
            "gcloud is not installed here, and host keys are read with it: https://cloud.google.com/sdk/docs/install",
        );
    }
    if (status !== 0) {
        const reply = stderr.trim() || String(error?.message);
        for (const [pattern, cause] of hopeless) {
            if (pattern.test(reply)) throw new Error(`${cause}. gcloud says: ${reply}`);
        }
        return { reply };
    }
    const items = (JSON.parse(stdout || "[]") ?? []) as readonly Readonly<
        Record<"namespace" | "key" | "value", string>
    >[];
    return Object.fromEntries(items.map(({ namespace, key, value }) => [`${namespace}/${key}`, value]));
}

/** An ed25519 key is the name of the algorithm and 32 bytes, each with its length before it. */
function isEd25519(key: string): boolean {
    const bytes = Buffer.from(key, "base64");
    return bytes.length === 51 && bytes.toString("latin1", 4, 15) === "ssh-ed25519" && bytes.toString("base64") === key;
}

/** @returns the key, as known_hosts has it */
export async function main(_input: undefined, ...args: string[]): Promise<string> {
    const { values } = parseArgs({ args, options });
    return await published(values).catch((error) => {
        throw new Error(`${values.instance}: ${error.message}`);
    });
}

async function published(values: Machine): Promise<string> {
    const { zone, instance, resource, seconds } = values;
    const deadline = Date.now() + Number(seconds) * 1000;
    for (;;) {
        const { "runtime-sandboxes/boot": boot, "hostkeys/ssh-ed25519": key, reply } = guestAttributes(values);
        if (boot?.startsWith("failed")) {
            throw new Error(
                `its boot script ${boot}. The log: gcloud compute instances get-serial-port-output ${instance} --zone ${zone}`,
            );
        }
        if (boot === "ready" && key !== undefined) {
            if (!isEd25519(key))
                throw new Error(`its guest attribute hostkeys/ssh-ed25519 is not an ed25519 key: ${key}`);
            return `ssh-ed25519 ${key}`;
        }
        if (Date.now() > deadline) {
            const what = boot === "ready" ? "its guest agent to publish a host key" : "its boot script to end";
            throw new Error(
                `waited ${seconds} s for ${what}; last answer: ${reply ?? "nothing published"}. Look at what it does: ` +
                    `gcloud compute instances get-serial-port-output ${instance} --zone ${zone}; a new machine: ` +
                    `npm run up -- --replace '**${resource}'`,
            );
        }
        await sleep(Math.min(3000, Number(seconds) * 10));
    }
}
