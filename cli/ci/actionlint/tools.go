//go:build tools

// Package tools keeps the built command among the module's requirements.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
