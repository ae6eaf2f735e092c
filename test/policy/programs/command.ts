/** Breaks policies by what it runs on machines and by what it shows; run by the engine in a project of its own. */
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

const connection = { host: "192.0.2.1", user: "root", privateKey: pulumi.secret("secret") };
const hostKey = "ssh-ed25519 AAAA";
new command.remote.Command("open", { connection, create: "true" });
new command.remote.Command("half-open", {
    connection: { ...connection, hostKey, proxy: { host: "192.0.2.2" } },
    create: "true",
    stdin: "readonly PACKAGES='kubelet=1.36.5-*\nrunsc=*\ncri-tools=*'\nmain\n",
});
const first = new command.remote.Command("closed", { connection: { ...connection, hostKey }, create: "true" });
new command.remote.Command("later", {
    connection: { ...connection, hostKey: first.stdout },
    create: "true",
});

export const kubeconfig = pulumi.secret("apiVersion: v1\nkind: Config\n");
export const admin = {
    config: "apiVersion: v1\nkind: Config\n",
    nested: { key: pulumi.secret("abcdef.0123456789abcdef") },
};
export const joinToken = "abc";
export const uname = first.stdout;
