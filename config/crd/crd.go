// Package crd embeds the generated CustomResourceDefinitions of our kinds.
package crd

import "embed"

// Bases holds one YAML file per kind in the directory bases.
//
//go:embed bases/*.yaml
var Bases embed.FS
