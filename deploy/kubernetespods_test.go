package deploy

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (w workload) ports() map[string]int32 {
	named := map[string]int32{}
	for _, container := range w.pod.Spec.Containers {
		for _, port := range container.Ports {
			named[port.Name] = port.ContainerPort
		}
	}
	return named
}

// selects says that labels select the pods.
func (w workload) selects(t *testing.T, labels map[string]string) {
	t.Helper()
	require.NotEmpty(t, labels)
	require.Subset(t, w.pod.Labels, labels)
}

func TestKubernetesSelectorsMatch(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c cluster, _ string) {
		w, services := c.bridge, named[*corev1.Service](c)
		w.selects(t, w.selector)
		if w.service != "" {
			require.Contains(t, services, w.service)
			require.Equal(t, corev1.ClusterIPNone, services[w.service].Spec.ClusterIP)
		}
		for _, spread := range w.pod.Spec.TopologySpreadConstraints {
			w.selects(t, spread.LabelSelector.MatchLabels)
		}
		require.NotEmpty(t, services)
		for name, service := range services {
			w.selects(t, service.Spec.Selector)
			for _, port := range service.Spec.Ports {
				require.Contains(t, w.ports(), port.TargetPort.StrVal, name)
			}
		}
		budget := named[*policyv1.PodDisruptionBudget](c)["bridge"]
		w.selects(t, budget.Spec.Selector.MatchLabels)
		require.Equal(t, 1, budget.Spec.MaxUnavailable.IntValue(), "it could not be moved")
		policies := named[*networkingv1.NetworkPolicy](c)
		require.Contains(t, policies, "bridge")
		for _, policy := range policies {
			w.checkPolicy(t, policy)
		}
	})
}

// checkPolicy sees that the ports of a policy are those of the pods: of the
// policy's own on the way in, of those that it leads to on the way out.
func (w workload) checkPolicy(t *testing.T, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	w.selects(t, policy.Spec.PodSelector.MatchLabels)
	for _, rule := range policy.Spec.Ingress {
		for _, port := range rule.Ports {
			require.Contains(t, w.ports(), port.Port.StrVal, policy.Name)
		}
		for _, peer := range rule.From {
			if peer.PodSelector != nil {
				w.selects(t, peer.PodSelector.MatchLabels)
			}
		}
	}
	for _, rule := range policy.Spec.Egress {
		for _, peer := range rule.To {
			for _, port := range rule.Ports {
				if peer.PodSelector != nil {
					w.selects(t, peer.PodSelector.MatchLabels)
					require.Contains(t, w.ports(), port.Port.StrVal, policy.Name)
				} else {
					require.Equal(t, intstr.Int, port.Port.Type, policy.Name)
				}
			}
		}
	}
}

// What the rules of the namespace ask for, and a bit more.
func TestKubernetesPodsAreHardened(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c cluster, _ string) {
		require.Equal(t, "restricted", named[*corev1.Namespace](c)["currentsbridge"].Labels["pod-security.kubernetes.io/enforce"])
		pod := c.bridge.pod.Spec
		require.True(t, *pod.SecurityContext.RunAsNonRoot)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		require.NotNil(t, pod.SecurityContext.FSGroup, "the volume would be root's")
		require.False(t, *pod.AutomountServiceAccountToken)
		require.False(t, *pod.EnableServiceLinks, "variables of services begin with BRIDGE_ too")
		for _, container := range pod.Containers {
			require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
			require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
			require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
			checkMemory(t, container)
		}
		require.Contains(t, named[*corev1.ServiceAccount](c), pod.ServiceAccountName)
	})
}

// checkMemory sees that garbage is collected before the limit kills the process.
func checkMemory(t *testing.T, container corev1.Container) {
	t.Helper()
	require.False(t, container.Resources.Requests.Cpu().IsZero())
	require.False(t, container.Resources.Requests.Memory().IsZero())
	limit := container.Resources.Limits.Memory()
	soft, err := resource.ParseQuantity(strings.TrimSuffix(variables(container)["GOMEMLIMIT"], "B"))
	require.NoError(t, err)
	require.Negative(t, soft.Cmp(*limit), "GOMEMLIMIT %s, limit %s", &soft, limit)
}

func variables(container corev1.Container) map[string]string {
	named := map[string]string{}
	for _, variable := range container.Env {
		named[variable.Name] = variable.Value
	}
	return named
}

// Volumes that are mounted are there, and lead to what is there.
func TestKubernetesVolumes(t *testing.T) {
	secret := exampleSecret(t)
	require.Equal(t, "currentsbridge", secret.Namespace)
	eachOverlay(t, func(t *testing.T, c cluster, _ string) {
		w, configMaps := c.bridge, named[*corev1.ConfigMap](c)
		names, files := claimNames(w), map[string]*corev1.ConfigMap{}
		for _, volume := range w.pod.Spec.Volumes {
			names = append(names, volume.Name)
			if volume.ConfigMap != nil {
				require.Contains(t, configMaps, volume.ConfigMap.Name)
				files[volume.Name] = configMaps[volume.ConfigMap.Name]
			}
			if volume.Secret != nil {
				require.Equal(t, secret.Name, volume.Secret.SecretName)
			}
		}
		var mounted []string
		for _, mount := range w.pod.Spec.Containers[0].VolumeMounts {
			mounted = append(mounted, mount.Name)
			if volume := files[mount.Name]; volume != nil && mount.SubPath != "" {
				require.Contains(t, volume.Data, mount.SubPath)
			}
		}
		require.ElementsMatch(t, names, mounted)
	})
}

func mountPath(t *testing.T, container corev1.Container, volume string) string {
	t.Helper()
	at := slices.IndexFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume })
	require.GreaterOrEqual(t, at, 0, volume)
	return container.VolumeMounts[at].MountPath
}

func TestKubernetesBridge(t *testing.T) {
	image := images(t)["bridge"]
	eachOverlay(t, func(t *testing.T, c cluster, dir string) {
		w := c.bridge
		container := w.pod.Spec.Containers[0]
		require.Equal(t, namespace+"bridge", strings.Split(container.Image, ":")[0])
		require.Equal(t, image.user, strconv.FormatInt(*w.pod.Spec.SecurityContext.RunAsUser, 10)+":"+strconv.FormatInt(*w.pod.Spec.SecurityContext.RunAsGroup, 10))
		require.Equal(t, *w.pod.Spec.SecurityContext.RunAsGroup, *w.pod.Spec.SecurityContext.FSGroup, "the secrets could not be read")

		_, intake := hostPort(t, image.env["BRIDGE_LISTEN"])
		_, admin := hostPort(t, image.env["BRIDGE_ADMIN"])
		require.Equal(t, intake, strconv.Itoa(int(w.ports()["intake"])))
		require.Equal(t, admin, strconv.Itoa(int(w.ports()["admin"])))
		require.Equal(t, admin, w.pod.Annotations["prometheus.io/port"])
		require.Equal(t, "/metrics", w.pod.Annotations["prometheus.io/path"])
		for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
			require.Equal(t, path, probe.HTTPGet.Path)
			require.Equal(t, "admin", probe.HTTPGet.Port.StrVal)
		}
		require.Equal(t, "/livez", container.StartupProbe.HTTPGet.Path)

		require.Equal(t, image.env["BRIDGE_DATA_DIR"], mountPath(t, container, "data"))
		require.Equal(t, container.Args[2], mountPath(t, container, "config"))
		secrets := t.TempDir()
		for name, value := range exampleSecret(t).StringData {
			require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(value), 0o600))
		}
		at := mountPath(t, container, "secrets")
		env := maps.Clone(image.env)
		for name, value := range variables(container) {
			env[name] = strings.ReplaceAll(value, at, secrets)
		}
		cfg := bridgeConfig(t, filepath.Join(dir, "bridge.yaml"), env, at, secrets)
		require.Empty(t, cfg.Warnings())
		require.NotEmpty(t, cfg.AdminToken)
		stopping := float64(*w.pod.Spec.TerminationGracePeriodSeconds)
		require.Greater(t, stopping, cfg.Grace.Seconds()+float64(container.Lifecycle.PreStop.Sleep.Seconds))
		if len(w.claims) > 0 {
			room := w.claims[0].Spec.Resources.Requests.Storage().Value()
			require.Less(t, cfg.Queue.MaxSize+256<<20, room)
			require.Less(t, cfg.Retain.Size, cfg.Queue.MaxSize)
		}
	})
}

// The bridges may reach PostgreSQL at the port of their URL, with a password out
// of the Secret.
func TestKubernetesPostgres(t *testing.T) {
	c := overlay(t, "postgres")
	var cfg struct {
		Queue struct{ URL, PasswordFile string }
	}
	text := read(t, "kubernetes/overlays/postgres/bridge.yaml")
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(text, "password_file", "passwordfile")), &cfg))
	queue, err := url.Parse(cfg.Queue.URL)
	require.NoError(t, err)
	require.Equal(t, "verify-full", queue.Query().Get("sslmode"))
	require.Equal(t, queue.Port(), named[*networkingv1.NetworkPolicy](c)["bridge-to-postgres"].Spec.Egress[0].Ports[0].Port.String())
	require.Contains(t, exampleSecret(t).StringData, filepath.Base(cfg.Queue.PasswordFile))
}
