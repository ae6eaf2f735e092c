/** The part of the recorded program that uses the command plug-in; run by the engine in a project of its own. */
import * as fs from "node:fs";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

const step = new pulumi.Config().getNumber("step") || 1;
const site = JSON.parse(fs.readFileSync("site.json", "utf8"));
const key = pulumi.secret(site.privateKey);
const worker = {
    host: site.host,
    port: site.port,
    user: site.user,
    privateKey: key,
    hostKey: site.hostKey,
    dialErrorLimit: 3,
    perDialTimeout: 5,
};
const { Command, CopyToRemote, Logging } = command.remote;
const quiet = { connection: worker, addPreviousOutputInEnv: false };

new Command("plain", { connection: worker, create: "uname -r" });
const full = new Command("full", {
    ...quiet,
    create: "bash -s -- install",
    update: "bash -s -- install",
    delete: "bash -s -- remove",
    stdin: `echo "$1 step ${step}"; echo to-stderr >&2`,
    logging: Logging.None,
});
new Command(
    "triggered",
    { ...quiet, create: "echo made", delete: "echo gone", triggers: [step, "fixed"] },
    { deleteBeforeReplace: true },
);
new Command(
    "secret-output",
    { ...quiet, create: "echo s3cret", logging: Logging.None },
    { additionalSecretOutputs: ["stdout", "stderr"] },
);
const proxy = { host: site.proxyHost, port: site.port, user: site.user, privateKey: key };
new Command("behind-proxy", {
    connection: { ...worker, proxy },
    create: "hostname",
    addPreviousOutputInEnv: false,
});
if (step === 1) {
    new Command("removed-later", { ...quiet, create: "echo a", delete: "echo bye" });
}
new Command("update-by-create", { ...quiet, create: `echo step ${step}` });
new Command("from-output", { ...quiet, create: pulumi.interpolate`echo after ${full.stdout}` });

const file = new pulumi.asset.FileAsset("files/a.txt");
const text = new pulumi.asset.StringAsset(`text ${step}\n`);
const directory = new pulumi.asset.FileArchive("files");
new CopyToRemote("copy-file", { connection: worker, source: file, remotePath: `${site.remote}/a.txt` });
new CopyToRemote("copy-text", { connection: worker, source: text, remotePath: `${site.remote}/text.txt` });
new CopyToRemote("copy-dir", { connection: worker, source: directory, remotePath: site.remote, triggers: [step] });

new command.local.Command("local-plain", { create: "echo hello", delete: "echo bye" });
new command.local.Command("local-full", {
    create: "cat; echo $STEP",
    update: "cat; echo updated $STEP",
    stdin: "in",
    environment: { STEP: `${step}` },
    interpreter: ["/bin/bash", "-c"],
    dir: "files",
    addPreviousOutputInEnv: false,
    logging: command.local.Logging.Stderr,
    assetPaths: ["*.txt"],
    archivePaths: ["sub/*"],
});
new command.local.Command("local-triggered", {
    create: "echo made",
    triggers: [step],
    addPreviousOutputInEnv: false,
});
const ran = command.local.runOutput({ command: pulumi.interpolate`echo run ${full.stdout}` });

export const fullStdout = full.stdout;
export const runStdout = ran.stdout;
