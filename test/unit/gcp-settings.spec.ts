import assert from "node:assert/strict";
import { adminCidrs, throughIap } from "../../components/targets/gcp/network";
import { type GcpSettings, gcpSettings } from "../../components/targets/gcp/settings";
import { zoneOf, zonesOf } from "../../components/targets/gcp/zones";

const least = { project: "my-project-123", region: "us-central1", adminRanges: ["203.0.113.7/32"] };

function parse(overrides: Record<string, unknown> = {}): GcpSettings {
    return gcpSettings.parse({ ...least, ...overrides });
}

/** The complaints, as the settings of the stack print them. */
function complaints(value: unknown): string[] {
    const issues = gcpSettings.safeParse(value).error?.issues ?? [];
    return issues.map(({ path, message }) => `${["gcp", ...path].join(".")} ${message}`);
}

const ranges = 'IPv4 ranges from /8 to /32 such as 203.0.113.7/32, or "iap"';

describe("gcpSettings", () => {
    it("need three values and fill in the rest", () => {
        assert.deepEqual(parse(), {
            ...least,
            controlPlaneMachineType: "e2-standard-2",
            workerMachineType: "e2-standard-2",
            spot: false,
            diskSizeGb: 30,
            diskType: "pd-balanced",
            tunnelPorts: { ssh: 10022, api: 16443 },
            imageFamily: "debian-12",
            imageProject: "debian-cloud",
            networkRange: "10.20.0.0/24",
            labels: {},
            deletionProtection: false,
        });
    });

    it("say all that is missing", () => {
        assert.deepEqual(complaints({}), [
            "gcp.project is missing; allowed: the id of a Google Cloud project, such as my-project-123",
            "gcp.region is missing; allowed: a region, such as us-central1",
            `gcp.adminRanges is missing; allowed: a list of ${ranges}`,
        ]);
        assert.deepEqual(complaints("x"), ['gcp is "x"; allowed: an object, see docs/google-cloud.md']);
    });

    it("name a setting that is none, and those that are", () => {
        const [complaint = ""] = complaints({ ...least, zone: "us-central1-a" });
        assert.match(complaint, /^gcp holds zone; allowed: project, region, zones, .*, deletionProtection$/);
    });

    const world = "never the whole world: SSH and the API server would be open to everybody";
    const machineTypes = "a machine type with at least 2 vCPUs and 4 GB, such as e2-standard-2";
    const network = "a private range from /16 to /27 outside 10.244.0.0/16 (pods) and 10.96.0.0/12 (services)";
    const refused: readonly [overrides: Record<string, unknown>, complaint: string][] = [
        [{ adminRanges: ["0.0.0.0/0"] }, `gcp.adminRanges.0 is "0.0.0.0/0"; allowed: ${ranges}, ${world}`],
        [{ adminRanges: ["iap", "::/0"] }, `gcp.adminRanges.1 is "::/0"; allowed: ${ranges}, ${world}`],
        [{ adminRanges: ["0.0.0.0/1"] }, `gcp.adminRanges.0 is "0.0.0.0/1"; allowed: ${ranges}`],
        [{ adminRanges: ["64.0.0.0/7"] }, `gcp.adminRanges.0 is "64.0.0.0/7"; allowed: ${ranges}`],
        [{ adminRanges: ["0.0.0.0/00"] }, `gcp.adminRanges.0 is "0.0.0.0/00"; allowed: ${ranges}`],
        [{ adminRanges: ["2001:db8::/32"] }, `gcp.adminRanges.0 is "2001:db8::/32"; allowed: ${ranges}`],
        [{ adminRanges: ["300.0.0.0/8"] }, `gcp.adminRanges.0 is "300.0.0.0/8"; allowed: ${ranges}`],
        [{ adminRanges: ["10.0.0.0/33"] }, `gcp.adminRanges.0 is "10.0.0.0/33"; allowed: ${ranges}`],
        [{ adminRanges: ["IAP"] }, `gcp.adminRanges.0 is "IAP"; allowed: ${ranges}`],
        [
            { adminRanges: ["203.0.113.7"] },
            `gcp.adminRanges.0 is "203.0.113.7"; allowed: ${ranges}; for this one address write 203.0.113.7/32`,
        ],
        [
            { adminRanges: ["203.0.113.7/24"] },
            `gcp.adminRanges.0 is "203.0.113.7/24"; allowed: ${ranges}; the range that holds this address is 203.0.113.0/24`,
        ],
        [{ adminRanges: [] }, `gcp.adminRanges is []; allowed: a list of ${ranges}`],
        [{ adminRanges: "iap" }, `gcp.adminRanges is "iap"; allowed: a list of ${ranges}`],
        [
            { project: "My Project" },
            'gcp.project is "My Project"; allowed: the id of a Google Cloud project, such as my-project-123',
        ],
        [{ region: "us-central1-a" }, 'gcp.region is "us-central1-a"; allowed: a region, such as us-central1'],
        [
            { zones: ["europe-west1-b"] },
            'gcp.zones is "europe-west1-b"; allowed: zones of us-central1, each once, such as us-central1-b',
        ],
        [
            { zones: ["us-central1-b", "us-central1-b"] },
            'gcp.zones is "us-central1-b"; allowed: zones of us-central1, each once, such as us-central1-b',
        ],
        [
            { zones: [] },
            "gcp.zones is []; allowed: at least one zone, or no such setting for three zones of the region",
        ],
        [{ workerMachineType: "e2-micro" }, `gcp.workerMachineType is "e2-micro"; allowed: ${machineTypes}`],
        [{ controlPlaneMachineType: "big" }, `gcp.controlPlaneMachineType is "big"; allowed: ${machineTypes}`],
        [{ diskSizeGb: 19 }, "gcp.diskSizeGb is 19; allowed: a whole number of GB from 20 to 2000"],
        [{ diskSizeGb: "30" }, 'gcp.diskSizeGb is "30"; allowed: a whole number of GB from 20 to 2000'],
        [{ diskType: "ssd" }, 'gcp.diskType is "ssd"; allowed: pd-balanced, pd-standard, pd-ssd, hyperdisk-balanced'],
        [{ spot: "yes" }, 'gcp.spot is "yes"; allowed: true, false'],
        [{ tunnelPorts: { ssh: 22 } }, "gcp.tunnelPorts.ssh is 22; allowed: a port from 1024 to 65535"],
        [
            { imageFamily: "debian_12" },
            'gcp.imageFamily is "debian_12"; allowed: an image family of Debian 12, such as debian-12',
        ],
        [{ networkRange: "8.8.8.0/24" }, `gcp.networkRange is "8.8.8.0/24"; allowed: ${network}`],
        [{ networkRange: "10.244.7.0/24" }, `gcp.networkRange is "10.244.7.0/24"; allowed: ${network}`],
        [{ networkRange: "10.100.0.0/16" }, `gcp.networkRange is "10.100.0.0/16"; allowed: ${network}`],
        [{ networkRange: "10.20.0.0/28" }, `gcp.networkRange is "10.20.0.0/28"; allowed: ${network}`],
        [{ networkRange: "10.20.0.1/24" }, `gcp.networkRange is "10.20.0.1/24"; allowed: ${network}`],
        [
            { labels: { team: "Blue" } },
            'gcp.labels.team is "Blue"; allowed: lower-case letters, digits, hyphens and underscores, at most 63',
        ],
    ];
    for (const [overrides, complaint] of refused) {
        it(`refuse ${JSON.stringify(overrides)}`, () => {
            assert.deepEqual(complaints({ ...least, ...overrides }), [complaint]);
        });
    }

    it("complain about all at once", () => {
        const found = complaints({ ...least, project: "x", zones: ["us-east1-b"], adminRanges: ["::/0"], spot: 1 });
        assert.deepEqual(found.map((one) => one.split(" ")[0]).sort(), [
            "gcp.adminRanges.0",
            "gcp.project",
            "gcp.spot",
            "gcp.zones",
        ]);
    });

    it("take what is right", () => {
        for (const overrides of [
            { adminRanges: ["iap", "10.0.0.0/8", "203.0.113.0/24"] },
            { project: "example.com:my-project", region: "northamerica-northeast1" },
            { zones: ["us-central1-f"] },
            { networkRange: "192.168.4.0/22", controlPlaneMachineType: "c3-standard-4-lssd" },
        ]) {
            assert.deepEqual(complaints({ ...least, ...overrides }), []);
        }
    });
});

describe("the ways in", () => {
    it("are the ranges of the settings, and Identity-Aware Proxy's for its word", () => {
        const gcp = parse({ adminRanges: ["iap", "203.0.113.7/32", "iap"] });
        assert.deepEqual(adminCidrs(gcp), ["35.235.240.0/20", "203.0.113.7/32"]);
        assert.equal(throughIap(gcp), false);
        assert.equal(throughIap(parse({ adminRanges: ["iap"] })), true);
    });
});

describe("zones", () => {
    it("are three of the region, also where there is no zone a", () => {
        assert.deepEqual(zonesOf(parse()), ["us-central1-a", "us-central1-b", "us-central1-c"]);
        assert.deepEqual(zonesOf(parse({ region: "europe-west1" })), [
            "europe-west1-b",
            "europe-west1-c",
            "europe-west1-d",
        ]);
        assert.deepEqual(zonesOf(parse({ zones: ["us-central1-f"] })), ["us-central1-f"]);
    });

    it("take workers in turn, each by its name alone", () => {
        const zones = zonesOf(parse());
        const letters = ["worker-1", "worker-2", "worker-3", "worker-4", "worker-0"].map((one) => zoneOf(one, zones));
        assert.deepEqual(
            letters.map((zone) => zone.at(-1)),
            ["a", "b", "c", "a", "a"],
        );
        assert.equal(zoneOf("alpha", zones), zoneOf("alpha", zones));
        assert.ok(zones.includes(zoneOf("beta", zones)));
    });
});
