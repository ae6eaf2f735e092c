// Package main is put beside the language host's own files, see ../../../policy.ts.
package main

import (
	"errors"
	"fmt"
	"os/exec"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Numbers of fields that are newer than this language host: pulumirpc.RunPluginRequest and its pulumirpc.ProgramInfo
// (https://github.com/pulumi/pulumi/blob/master/proto/pulumi/language.proto).
const (
	requestInfo          = 5
	requestKind          = 6
	infoProgramDirectory = 2
)

// RunPlugin runs a policy pack, as the engine asks for it since it no longer starts pulumi-analyzer-policy itself. Other
// plug-ins are no programs in TypeScript here. A pack gets no configuration of the stack.
func (host *nodeLanguageHost) RunPlugin(
	req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	unknown := req.ProtoReflect().GetUnknown()
	if kind := string(field(unknown, requestKind)); kind != "analyzer" {
		return fmt.Errorf("this language host runs policy packs, and no plug-in of the kind %q", kind)
	}
	directory := string(field(field(unknown, requestInfo), infoProgramDirectory))
	if directory == "" {
		return errors.New("the engine does not say where the policy pack is")
	}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(server, false)
	if err != nil {
		return err
	}
	defer closer.Close()

	// "pack" stands where a script's name would. The module is looked for from the pack on.
	args := append([]string{"--eval", "require('@pulumi/pulumi/cmd/run-policy-pack')", "--", "pack"}, req.GetArgs()...)
	cmd := exec.CommandContext(server.Context(), "node", append(args, directory)...)
	cmd.Dir = directory
	cmd.Env = req.GetEnv()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the policy pack in %s has ended: %w", directory, err)
	}
	return nil
}

// field returns the last value of a field of bytes in a message; none if the message has no such field, or is broken.
func field(message []byte, wanted protowire.Number) []byte {
	var found []byte
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return nil
		}
		message = message[length:]
		if number == wanted && kind == protowire.BytesType {
			found, _ = protowire.ConsumeBytes(message)
		}
		if length = protowire.ConsumeFieldValue(number, kind, message); length < 0 {
			return nil
		}
		message = message[length:]
	}
	return found
}
