//go:build tools

// Package tools keeps the built command among the module's requirements.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
