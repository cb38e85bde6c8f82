// Package deploy has the files for deployment: images, compose files, Kubernetes
// manifests, a unit for systemd, alerts and a dashboard. It has no code; its tests
// compare the files with the programs. See docs/deploy.md.
package deploy
