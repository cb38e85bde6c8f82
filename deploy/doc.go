// Package deploy holds what is needed to run the programs somewhere: images,
// compose files, Kubernetes manifests, a unit for systemd, alerts and a
// dashboard. It has no code; its tests hold all of that against the programs, and
// docs/deploy.md says how to use it.
package deploy
