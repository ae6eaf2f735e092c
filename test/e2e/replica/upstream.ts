// Upstream's names and where they send whoever asks, as seen in other projects' logs and in the servers' own sources.

interface Registry {
    /** Folder of repositories in the registry behind all of them. */
    readonly folder: string;
    /** Host that the registry sends to for contents, and what it sends there. */
    readonly contents: string;
    readonly moved: RegExp;
    /** Where it sends for a token, if it wants one. */
    readonly realm?: string;
    readonly service?: string;
}

export const registries: Readonly<Record<string, Registry>> = {
    "registry.k8s.io": {
        folder: "registry.k8s.io",
        contents: "us-west1-docker.pkg.dev",
        moved: /\/(manifests|blobs)\//,
    },
    "registry-1.docker.io": {
        folder: "docker.io",
        contents: "production.cloudflare.docker.com",
        moved: /\/blobs\//,
        realm: "https://auth.docker.io/token",
        service: "registry.docker.io",
    },
    "ghcr.io": {
        folder: "ghcr.io",
        contents: "pkg-containers.githubusercontent.com",
        moved: /\/blobs\//,
        realm: "https://ghcr.io/token",
        service: "ghcr.io",
    },
};

/** Whole directories that another host serves. */
const directories: readonly (readonly [from: string, to: string])[] = [
    ["pkgs.k8s.io/", "prod-cdn.packages.k8s.io/repositories/isv:/kubernetes:/"],
    ["github.com/pulumi/", "release-assets.githubusercontent.com/pulumi/"],
];

/** Hosts that serve files, beside those that `directories` sends to. */
const fileHosts = ["download.docker.com", "storage.googleapis.com", "gvisor.dev", "get.pulumi.com"];

const host = (url: string) => url.split("/")[0] ?? "";

export const hosts: readonly string[] = [
    ...fileHosts,
    ...directories.flat().map(host),
    ...Object.entries(registries).flatMap(([name, { contents, realm }]) => [
        ...[name, contents],
        ...(realm === undefined ? [] : [new URL(realm).host]),
    ]),
];

/** Where a request is sent to, if this host does not answer it. */
export function moved(from: string, pathname: string): { status: number; location: string } | undefined {
    const registry = registries[from];
    if (registry?.moved.test(pathname)) {
        return { status: 307, location: `https://${registry.contents}${pathname}` };
    }
    const directory = directories.find(([prefix]) => `${from}${pathname}`.startsWith(prefix));
    return (
        directory && {
            status: 302,
            location: `https://${directory[1]}${`${from}${pathname}`.slice(directory[0].length)}`,
        }
    );
}
