//go:build tools

// Package tools keeps the command in go.mod, so that `go build` finds it without a network look-up.
package tools

import _ "github.com/seaweedfs/seaweedfs/weed"
