package deploy

import (
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

var update = flag.Bool("update", false, "write what is made of other files")

// rendered is what kubectl apply -k would apply.
type rendered struct {
	pod       corev1.PodTemplateSpec // of the bridges
	replicas  int32
	claims    []corev1.PersistentVolumeClaim
	service   string                    // that names the pods; empty: none
	selectors []metav1.LabelSelector    // of pods
	ports     []string                  // of pods, by name, that others lead to
	objects   map[string]runtime.Object // by kind and name
	monitors  map[string]string         // what is not Kubernetes's own, by kind
}

// decode decodes Kubernetes's own types and refuses fields that they do not have.
func decode(t *testing.T, text string) runtime.Object {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode([]byte(text), nil, nil)
	require.NoError(t, err, text)
	return object
}

// cluster renders an overlay, here or anywhere.
func cluster(t *testing.T, dir string) rendered {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("kubernetes", dir)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	require.NoError(t, err)
	c := rendered{objects: map[string]runtime.Object{}, monitors: map[string]string{}}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		require.NoError(t, err)
		if r.GetKind() != "Namespace" {
			require.Equal(t, "currentsbridge", r.GetNamespace(), r.CurId())
		}
		if r.GetGvk().Group == "monitoring.coreos.com" {
			c.monitors[r.GetKind()] = string(text)
			continue
		}
		c.objects[r.GetKind()+"/"+r.GetName()] = c.add(decode(t, string(text)))
	}
	for _, spread := range c.pod.Spec.TopologySpreadConstraints {
		c.selectors = append(c.selectors, *spread.LabelSelector)
	}
	return c
}

// add notes what the object says of the pods.
func (c *rendered) add(object runtime.Object) runtime.Object {
	switch o := object.(type) {
	case *appsv1.Deployment:
		c.pod, c.replicas = o.Spec.Template, *o.Spec.Replicas
		c.selectors = append(c.selectors, *o.Spec.Selector)
	case *appsv1.StatefulSet:
		c.pod, c.replicas, c.claims, c.service = o.Spec.Template, *o.Spec.Replicas, o.Spec.VolumeClaimTemplates, o.Spec.ServiceName
		c.selectors = append(c.selectors, *o.Spec.Selector)
	case *policyv1.PodDisruptionBudget:
		c.selectors = append(c.selectors, *o.Spec.Selector)
	case *corev1.Service:
		c.selectors = append(c.selectors, metav1.LabelSelector{MatchLabels: o.Spec.Selector})
		for _, port := range o.Spec.Ports {
			c.ports = append(c.ports, port.TargetPort.String())
		}
	case *networkingv1.NetworkPolicy:
		c.selectors = append(c.selectors, o.Spec.PodSelector)
		for _, rule := range o.Spec.Ingress {
			for _, port := range rule.Ports {
				c.ports = append(c.ports, port.Port.String())
			}
		}
	}
	return object
}

func eachOverlay(t *testing.T, check func(t *testing.T, c rendered, dir string)) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) { check(t, cluster(t, "overlays/"+name), "overlays/"+name) })
	}
}

// secretData are the values of the Secret that the pods refer to.
func secretData(t *testing.T) map[string]string {
	secret := decode(t, casefile.Text(t, "kubernetes/secret.example.yaml")).(*corev1.Secret)
	require.Equal(t, "currentsbridge/bridge-secrets", secret.Namespace+"/"+secret.Name)
	return secret.StringData
}

// Whatever selects pods selects those of the bridge, and whatever leads to a port leads
// to one of theirs. They may do nothing but their work.
func TestKubernetesPods(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c rendered, _ string) {
		for _, selector := range c.selectors {
			require.NotEmpty(t, selector.MatchLabels)
			require.Subset(t, c.pod.Labels, selector.MatchLabels)
		}
		require.Contains(t, c.objects, "NetworkPolicy/bridge")
		require.Subset(t, []string{"intake", "admin"}, c.ports)
		require.Equal(t, 1, c.objects["PodDisruptionBudget/bridge"].(*policyv1.PodDisruptionBudget).Spec.MaxUnavailable.IntValue(), "it could not be moved")
		if c.service != "" {
			require.Equal(t, corev1.ClusterIPNone, c.objects["Service/"+c.service].(*corev1.Service).Spec.ClusterIP)
		}

		// What the rules of the namespace ask for, and a bit more.
		require.Equal(t, "restricted", c.objects["Namespace/currentsbridge"].(*corev1.Namespace).Labels["pod-security.kubernetes.io/enforce"])
		require.Contains(t, c.objects, "ServiceAccount/"+c.pod.Spec.ServiceAccountName)
		pod, container := c.pod.Spec, c.pod.Spec.Containers[0]
		require.Len(t, pod.Containers, 1)
		require.True(t, *pod.SecurityContext.RunAsNonRoot)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		require.False(t, *pod.AutomountServiceAccountToken)
		require.False(t, *pod.EnableServiceLinks, "variables of services begin with BRIDGE_ too")
		require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
	})
}

// Volumes that are mounted are there, and lead to what is there. The mounts are returned
// by their volume.
func mounts(t *testing.T, c rendered) map[string]string {
	found, there := map[string]string{}, []string{}
	for _, mount := range c.pod.Spec.Containers[0].VolumeMounts {
		found[mount.Name] = mount.MountPath
		if mount.SubPath != "" {
			require.Equal(t, filepath.Base(mount.MountPath), mount.SubPath)
		}
	}
	for _, claim := range c.claims {
		there = append(there, claim.Name)
	}
	for _, volume := range c.pod.Spec.Volumes {
		there = append(there, volume.Name)
		if volume.ConfigMap != nil {
			require.Contains(t, c.objects, "ConfigMap/"+volume.ConfigMap.Name)
			require.Contains(t, c.objects["ConfigMap/"+volume.ConfigMap.Name].(*corev1.ConfigMap).Data, filepath.Base(found[volume.Name]))
		}
		if volume.Secret != nil {
			require.Equal(t, "bridge-secrets", volume.Secret.SecretName)
		}
	}
	require.ElementsMatch(t, there, slices.Collect(maps.Keys(found)))
	return found
}

// The pod runs the image as its user with its ports and directories; the configuration
// is valid, and its times and sizes fit.
func TestKubernetesBridge(t *testing.T) {
	image := images(t)["bridge"]
	eachOverlay(t, func(t *testing.T, c rendered, dir string) {
		pod, container, mounted := c.pod.Spec, c.pod.Spec.Containers[0], mounts(t, c)
		require.True(t, strings.HasPrefix(container.Image, namespace+"bridge:"), container.Image)
		require.Equal(t, image["USER"][0], fmt.Sprint(*pod.SecurityContext.RunAsUser, ":", *pod.SecurityContext.RunAsGroup))
		require.Equal(t, *pod.SecurityContext.RunAsGroup, *pod.SecurityContext.FSGroup, "volume and secrets would be root's")

		ports := map[string]string{}
		for _, port := range container.Ports {
			ports[port.Name] = fmt.Sprint(port.ContainerPort)
		}
		require.Equal(t, map[string]string{"intake": image.port(t, "BRIDGE_LISTEN"), "admin": image.port(t, "BRIDGE_ADMIN")}, ports)
		require.Equal(t, ports["admin"], c.pod.Annotations["prometheus.io/port"])
		require.Equal(t, "/metrics", c.pod.Annotations["prometheus.io/path"])
		// Not /readyz for liveness: a full disk is not mended by a restart.
		for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/livez?": container.StartupProbe, "/readyz": container.ReadinessProbe} {
			require.Equal(t, strings.TrimSuffix(path, "?"), probe.HTTPGet.Path)
			require.Equal(t, "admin", probe.HTTPGet.Port.String())
		}

		require.Equal(t, image.env()["BRIDGE_DATA_DIR"], mounted["data"])
		require.Equal(t, container.Args[2], mounted["config"])
		env, secrets := image.env(), t.TempDir()
		for _, variable := range container.Env {
			env[variable.Name] = variable.Value
		}
		for name, value := range secretData(t) {
			require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(value), 0o600))
		}
		cfg := bridgeConfig(t, filepath.Join("kubernetes", dir, "bridge.yaml"), env, mounted["secrets"], secrets)
		require.Empty(t, cfg.Warnings())
		require.NotEmpty(t, cfg.AdminToken)
		require.Greater(t, float64(*pod.TerminationGracePeriodSeconds), cfg.Grace.Seconds()+float64(container.Lifecycle.PreStop.Sleep.Seconds))
		require.False(t, container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero())
		soft, err := resource.ParseQuantity(strings.TrimSuffix(env["GOMEMLIMIT"], "B"))
		require.NoError(t, err)
		require.Negative(t, soft.Cmp(*container.Resources.Limits.Memory()), "garbage has to be collected before the limit kills")

		if len(c.claims) > 0 {
			require.Less(t, cfg.Queue.MaxSize+256<<20, c.claims[0].Spec.Resources.Requests.Storage().Value())
			require.Less(t, cfg.Retain.Size, cfg.Queue.MaxSize)
			return
		}
		require.Greater(t, c.replicas, int32(1))
		queue, err := url.Parse(cfg.Queue.URL)
		require.NoError(t, err)
		require.Equal(t, "verify-full", queue.Query().Get("sslmode"))
		require.Equal(t, secretData(t)["postgres-password"], cfg.Queue.Password)
		policy := c.objects["NetworkPolicy/bridge-to-postgres"].(*networkingv1.NetworkPolicy)
		require.Equal(t, queue.Port(), policy.Spec.Egress[0].Ports[0].Port.String())
	})
	require.Len(t, cluster(t, "overlays/sqlite").claims, 1)
}

// Every file takes part: it is a resource, a patch or made into a ConfigMap.
func TestKustomizationsListAllFiles(t *testing.T) {
	kustomizations, err := filepath.Glob("kubernetes/*/kustomization.yaml")
	require.NoError(t, err)
	overlays, err := filepath.Glob("kubernetes/overlays/*/kustomization.yaml")
	require.NoError(t, err)
	require.Len(t, overlays, 2)
	for _, path := range append(kustomizations, overlays...) {
		var k types.Kustomization
		require.NoError(t, k.Unmarshal([]byte(casefile.Text(t, path)))) // it is strict
		listed := append(k.Resources, "kustomization.yaml")
		for _, patch := range k.Patches {
			listed = append(listed, patch.Path)
		}
		for _, made := range k.ConfigMapGenerator {
			listed = append(listed, made.FileSources...)
		}
		files, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		for _, file := range files {
			require.Contains(t, listed, file.Name(), path)
		}
	}
}

// The rule for the operator has the same alerts as the file for Prometheus.
func TestPrometheusRuleIsMadeOfTheAlerts(t *testing.T) {
	const path = "kubernetes/monitoring/prometheusrule.yaml"
	_, groups, found := strings.Cut(casefile.Text(t, "prometheus/alerts.yaml"), "\ngroups:\n")
	require.True(t, found)
	want := "# Made of prometheus/alerts.yaml: go test ./deploy -run TestPrometheusRule -update\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: bridge\nspec:\n  groups:\n"
	for line := range strings.Lines(groups) {
		want += "  " + line
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	require.Equal(t, want, casefile.Text(t, path), "run this test with -update")
	var rule struct{ Spec any }
	var alerts any
	require.NoError(t, yaml.Unmarshal([]byte(want), &rule))
	require.NoError(t, yaml.Unmarshal([]byte(casefile.Text(t, "prometheus/alerts.yaml")), &alerts))
	require.Equal(t, alerts, rule.Spec)
}

// podMonitor has the fields of monitoring.coreos.com/v1 that are used here; any other is
// a mistake.
type podMonitor struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   map[string]string
	Spec       struct {
		JobLabel            string                       `yaml:"jobLabel"`
		Selector            map[string]map[string]string // matchLabels
		PodMetricsEndpoints []struct {
			Port, Path    string
			Authorization map[string]map[string]string // credentials: name, key
		} `yaml:"podMetricsEndpoints"`
	}
}

// A user's overlay with the component monitoring is scraped once, and with the token.
func TestMonitoringFindsThePods(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c rendered, dir string) {
		root, err := filepath.Abs("kubernetes")
		require.NoError(t, err)
		mine, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		root, err = filepath.Rel(mine, root)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"+
			"namespace: currentsbridge\nresources: ["+root+"/"+dir+"]\ncomponents: ["+root+"/monitoring]\n"), 0o600))
		monitored := cluster(t, mine)
		require.Contains(t, monitored.monitors, "PrometheusRule")
		var m podMonitor
		strict(t, monitored.monitors["PodMonitor"], &m)
		require.Subset(t, c.pod.Labels, m.Spec.Selector["matchLabels"])
		require.Equal(t, "bridge", c.pod.Labels[m.Spec.JobLabel], "the alerts ask for this job")
		endpoint := m.Spec.PodMetricsEndpoints[0]
		require.Equal(t, "admin /metrics", endpoint.Port+" "+endpoint.Path)
		require.Equal(t, map[string]string{"name": "bridge-secrets", "key": "admin-token"}, endpoint.Authorization["credentials"])
		require.Contains(t, secretData(t), "admin-token")
		require.Empty(t, monitored.pod.Annotations)
	})
}
