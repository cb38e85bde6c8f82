package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// workload is the StatefulSet or the Deployment of bridges.
type workload struct {
	name     string
	replicas int32
	selector map[string]string
	pod      corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
	service  string // that names its pods; empty: none
}

// cluster is what an overlay makes.
type cluster struct {
	bridge workload
	others []runtime.Object
}

// named are a cluster's objects of a type, by name.
func named[T metav1.Object](c cluster) map[string]T {
	found := map[string]T{}
	for _, object := range c.others {
		if o, ok := object.(T); ok {
			found[o.GetName()] = o
		}
	}
	return found
}

// decoder decodes Kubernetes's own types and refuses fields that they do not have.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// overlay renders an overlay as kubectl apply -k does.
func overlay(t *testing.T, name string) cluster {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("kubernetes/overlays", name))
	require.NoError(t, err)
	var c cluster
	decode := decoder(t)
	for _, resource := range rendered.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		object, _, err := decode.Decode(text, nil, nil)
		require.NoError(t, err, string(text))
		if resource.GetKind() != "Namespace" {
			require.Equal(t, "currentsbridge", resource.GetNamespace(), resource.CurId())
		}
		switch o := object.(type) {
		case *appsv1.Deployment:
			c.bridge = workload{name: o.Name, replicas: *o.Spec.Replicas, selector: o.Spec.Selector.MatchLabels, pod: o.Spec.Template}
		case *appsv1.StatefulSet:
			c.bridge = workload{o.Name, *o.Spec.Replicas, o.Spec.Selector.MatchLabels, o.Spec.Template, o.Spec.VolumeClaimTemplates, o.Spec.ServiceName}
		default:
			c.others = append(c.others, object)
		}
	}
	require.Equal(t, "bridge", c.bridge.name)
	return c
}

func eachOverlay(t *testing.T, check func(t *testing.T, c cluster, dir string)) {
	t.Helper()
	entries, err := os.ReadDir("kubernetes/overlays")
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			check(t, overlay(t, entry.Name()), filepath.Join("kubernetes/overlays", entry.Name()))
		})
	}
}

func TestKubernetesOverlays(t *testing.T) {
	sqlite, postgres := overlay(t, "sqlite").bridge, overlay(t, "postgres").bridge
	require.Equal(t, []string{"data"}, claimNames(sqlite))
	require.Greater(t, postgres.replicas, int32(1))
	require.Empty(t, claimNames(postgres))
}

// Every file takes part: it is a resource, a patch or made into a ConfigMap.
func TestKustomizationsListAllFiles(t *testing.T) {
	dirs := 0
	require.NoError(t, filepath.WalkDir("kubernetes", func(path string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.Name() != "kustomization.yaml" {
			return nil
		}
		dirs++
		var k types.Kustomization
		require.NoError(t, k.Unmarshal([]byte(read(t, path)))) // it is strict
		listed := []string{"kustomization.yaml"}
		for _, resource := range k.Resources {
			if strings.HasSuffix(resource, ".yaml") {
				listed = append(listed, resource)
			}
		}
		for _, patch := range k.Patches {
			listed = append(listed, patch.Path)
		}
		for _, made := range k.ConfigMapGenerator {
			listed = append(listed, made.FileSources...)
		}
		files, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		var there []string
		for _, file := range files {
			there = append(there, file.Name())
		}
		require.ElementsMatch(t, there, listed, path)
		return nil
	}))
	require.Equal(t, 5, dirs)
}

func claimNames(w workload) (names []string) {
	for _, claim := range w.claims {
		names = append(names, claim.Name)
	}
	return names
}

// exampleSecret is the Secret that the pods refer to.
func exampleSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	object, _, err := decoder(t).Decode([]byte(read(t, "kubernetes/secret.example.yaml")), nil, nil)
	require.NoError(t, err)
	return object.(*corev1.Secret)
}
