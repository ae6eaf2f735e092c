import { PolicyPack } from "@pulumi/policy";
import { resourcePolicy, stackPolicy, undecidedPolicy } from "./rule";
import { hostKeys } from "./rules/hostKeys";
import { openSsh } from "./rules/openSsh";
import { pinnedVersions } from "./rules/pinnedVersions";
import { publicAddress } from "./rules/publicAddress";
import { configSchema, sandboxedPods } from "./rules/sandboxedPods";
import { secretOutput } from "./rules/secretOutput";
import { rememberSecrets } from "./secrets";

rememberSecrets();

new PolicyPack("runtime-sandboxes", {
    enforcementLevel: "mandatory",
    policies: [
        ...[hostKeys, openSsh, pinnedVersions, publicAddress].map(resourcePolicy),
        { ...stackPolicy(sandboxedPods), configSchema },
        stackPolicy(secretOutput),
        // Sums up what the others have left open, so it comes last.
        undecidedPolicy,
    ],
});
