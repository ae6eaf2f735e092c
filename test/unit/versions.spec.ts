import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { imageReference, kubernetesRelease, versions } from "../../components/versions";
import { kubernetesAndContainerd } from "../../settings/versionRules";

const build = path.resolve(__dirname, "../../mirror/build");

/** Version of a module in the go.mod of one of the mirror's recipes. */
function built(recipe: string, module: string): string | undefined {
    const text = fs.readFileSync(path.join(build, recipe, "go.mod"), "utf8");
    return new RegExp(`^(?:require)?\\s+${module} v(\\S+)`, "m").exec(text)?.[1];
}

describe("what belongs to a Kubernetes version", () => {
    it("is found by a version, or by that of a package", () => {
        assert.equal(kubernetesRelease("1.37.2").etcd, "3.7.0-0");
        assert.equal(kubernetesRelease("1.36.5-1.1").coredns, "1.14.2");
        assert.equal(kubernetesRelease("1.35.*").pause, "3.10.1");
        assert.throws(
            () => kubernetesRelease("1.99.0"),
            /Kubernetes "1\.99\.0" has no row.*allowed: 1\.35, 1\.36, 1\.37$/,
        );
    });

    it("takes the pinned containerd", () => {
        for (const release of Object.keys(versions.kubernetes.releases)) {
            assert.deepEqual(kubernetesAndContainerd({ kubernetesVersion: `${release}.1`, containerdVersion: "" }), []);
        }
    });

    it("is what the mirror builds with it", () => {
        const recipes = fs.readdirSync(build).filter((name) => name.startsWith("kubernetes"));
        assert.deepEqual(recipes, ["kubernetes", "kubernetes-1.37.2"]);
        for (const recipe of recipes) {
            const version = built(recipe, "k8s.io/kubernetes") ?? "";
            assert.equal(
                version,
                recipe === "kubernetes" ? versions.kubernetes.version : recipe.replace("kubernetes-", ""),
            );
            const own = recipe !== "kubernetes";
            const { etcd, coredns } = kubernetesRelease(version);
            assert.equal(`${built(own ? recipe : "etcd", "go.etcd.io/etcd/server/v3")}-0`, etcd);
            assert.equal(built(own ? recipe : "addons", "github.com/coredns/coredns"), coredns);
            // Published copies of the parts that Kubernetes' module has in its own tree.
            const replaced = fs.readFileSync(path.join(build, recipe, "go.mod"), "utf8").matchAll(/ => \S+ v(\S+)/g);
            assert.deepEqual([...new Set([...replaced].map(([, one]) => one))], [version.replace("1.", "0.")]);
        }
    });
});

describe("imageReference", () => {
    it("keeps the digest for a registry, and leaves it out for a mirror", () => {
        const image = `docker.io/library/nginx:1.28@sha256:${"a".repeat(64)}`;
        assert.equal(imageReference(image, "upstream"), image);
        assert.equal(imageReference(image, "mirror"), "docker.io/library/nginx:1.28");
        assert.equal(imageReference("localhost:5000/a:1", "mirror"), "localhost:5000/a:1");
    });
});
