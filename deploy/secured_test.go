package deploy

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// secured is the block of the page's section on NATS with a password and TLS
// that has a text in it.
func secured(t *testing.T, has string) string {
	t.Helper()
	_, section, found := strings.Cut(read(t, "../docs/deploy.md"), "\n## NATS with a password and TLS\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, block := range regexp.MustCompile("(?s)```\\w*\n(.*?)```").FindAllStringSubmatch(section, -1) {
		if strings.Contains(block[1], has) {
			return block[1]
		}
	}
	t.Fatalf("no block has %q", has)
	return ""
}

// securedNATS are the lines that the page adds to a server's configuration.
func securedNATS(t *testing.T) (user string, files []string) {
	t.Helper()
	t.Setenv("NATS_PASSWORD", "f00d")
	parsed, err := conf.Parse(secured(t, "authorization"))
	require.NoError(t, err)
	authorization, tls := parsed["authorization"].(map[string]any), parsed["tls"].(map[string]any)
	require.Equal(t, "f00d", authorization["password"])
	return authorization["user"].(string), []string{tls["cert_file"].(string), tls["key_file"].(string)}
}

func TestSecuredNATSOnKubernetes(t *testing.T) {
	user, files := securedNATS(t)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "currentsbridge/deploy/kubernetes"), os.DirFS("kubernetes")))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	queue := secured(t, "# bridge.yaml")
	write("kustomization.yaml", secured(t, "kind: Kustomization"))
	write("bridge.yaml", queue)
	write("nats.conf", read(t, "kubernetes/overlays/nats/nats.conf")+secured(t, "authorization"))
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	require.NoError(t, err)
	for _, resource := range rendered.Resources() {
		if resource.GetKind() != "StatefulSet" {
			continue
		}
		text, err := resource.AsYAML()
		require.NoError(t, err)
		object, _, err := decoder(t).Decode(text, nil, nil)
		require.NoError(t, err)
		container := object.(*appsv1.StatefulSet).Spec.Template.Spec.Containers[0]
		for _, file := range files {
			require.Equal(t, path.Dir(file), mountPath(t, container, "tls"))
		}
		names := map[string]string{}
		for _, v := range container.Env {
			if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
				names[v.Name] = v.ValueFrom.SecretKeyRef.Key
			}
		}
		require.Equal(t, map[string]string{"NATS_PASSWORD": "nats-password"}, names)
	}

	// The bridge's keys are those that it knows, and lead to the same secrets.
	secrets := t.TempDir()
	server := httptest.NewTLSServer(nil)
	server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, text := range map[string]string{"nats-password": "f00d\n", "nats-ca": string(authority)} {
		require.Contains(t, secured(t, "create secret generic"), "="+name+"=")
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600))
	}
	whole := filepath.Join(dir, "whole.yaml")
	write("whole.yaml", queue+"open: true\nrudder_url: http://127.0.0.1\nwrite_key: k\n")
	cfg := bridgeConfig(t, whole, nil, "/etc/bridge/secrets", secrets)
	require.Equal(t, user, cfg.Queue.NATS.User)
	require.Equal(t, "f00d", cfg.Queue.NATS.Password)
	require.Equal(t, filepath.Join(secrets, "nats-ca"), cfg.Queue.NATS.TLS.CA)
}

func TestSecuredNATSInCompose(t *testing.T) {
	user, files := securedNATS(t)
	var file struct {
		Secrets  map[string]struct{ File string }
		Bridge   any `yaml:"x-bridge"`
		NATS     any `yaml:"x-nats"`
		Services map[string]struct {
			Secrets     []string
			Environment map[string]string
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(secured(t, "compose.secured.yaml")))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	at := func(secrets []string) (paths []string) {
		for _, name := range secrets {
			require.Contains(t, file.Secrets, name)
			paths = append(paths, "/run/secrets/"+name)
		}
		return paths
	}
	servers := strings.Join(queueServers(t, "compose/bridge.scale.yaml"), ",")
	for name, s := range composeFiles(t)["compose.scale.yaml"].Services {
		more := file.Services[name]
		switch {
		case strings.HasPrefix(s.Image, "nats:"):
			require.Equal(t, files, at(more.Secrets), name)
			require.Contains(t, more.Environment, "NATS_PASSWORD", name)
		case s.Image == namespace+"bridge":
			require.Equal(t, "tls://"+servers, more.Environment["BRIDGE_QUEUE"], name)
			require.Equal(t, user, more.Environment["BRIDGE_QUEUE_USER"], name)
			require.Equal(t, []string{more.Environment["BRIDGE_QUEUE_PASSWORD_FILE"], more.Environment["BRIDGE_QUEUE_TLS_CA"]}, at(more.Secrets), name)
		default:
			require.NotContains(t, file.Services, name)
		}
	}
}
