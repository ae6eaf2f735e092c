// Images of the mirror's archives in a registry, each below an index, as multi-platform images are.
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

interface Descriptor {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly annotations?: Readonly<Record<string, string>>;
}

const index = "application/vnd.oci.image.index.v1+json";

/** Pushes through the registry's API (https://github.com/opencontainers/distribution-spec). */
class Pusher {
    constructor(
        private readonly registry: string,
        private readonly repository: string,
    ) {}

    private async send(
        method: string,
        url: string,
        body?: Buffer,
        type = "application/octet-stream",
    ): Promise<Response> {
        const headers = { "content-type": type };
        const response = await fetch(url, { method, body: body && new Uint8Array(body), headers });
        if (!response.ok) {
            throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`);
        }
        return response;
    }

    public async blob(content: Buffer, digest: string): Promise<void> {
        const begun = await this.send("POST", `${this.registry}/v2/${this.repository}/blobs/uploads/`);
        const upload = new URL(begun.headers.get("location") ?? "");
        upload.searchParams.set("digest", digest);
        await this.send("PUT", upload.href, content);
    }

    /** @returns the digest */
    public async manifest(content: Buffer, type: string, tag?: string): Promise<string> {
        const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
        await this.send("PUT", `${this.registry}/v2/${this.repository}/manifests/${tag ?? digest}`, content, type);
        return digest;
    }
}

/** Until the registry listens. */
async function ready(registry: string): Promise<void> {
    while (!(await fetch(`${registry}/v2/`).catch(() => undefined))) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

/**
 * Pushes all images of unpacked archives.
 *
 * @param folder holds one OCI layout a directory
 * @returns digest of each image's index by name
 */
export async function pushImages(folder: string, registry: string): Promise<Record<string, string>> {
    await ready(registry);
    const digests: Record<string, string> = {};
    for (const layout of fs.readdirSync(folder).map((name) => path.join(folder, name))) {
        const read = (digest: string) => fs.readFileSync(path.join(layout, "blobs", digest.replace(":", "/")));
        const { manifests } = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8")) as {
            manifests: Descriptor[];
        };
        for (const { annotations, ...descriptor } of manifests) {
            const name = annotations?.["io.containerd.image.name"] ?? "";
            const [repository = "", tag = ""] = name.split(/:(?=[^:]*$)/);
            const pusher = new Pusher(registry, repository);
            const manifest = read(descriptor.digest);
            const { config, layers } = JSON.parse(manifest.toString()) as { config: Descriptor; layers: Descriptor[] };
            for (const { digest } of [config, ...layers]) {
                await pusher.blob(read(digest), digest);
            }
            await pusher.manifest(manifest, descriptor.mediaType);
            const list = { schemaVersion: 2, mediaType: index, manifests: [descriptor] };
            digests[name] = await pusher.manifest(Buffer.from(JSON.stringify(list)), index, tag);
        }
    }
    return digests;
}
