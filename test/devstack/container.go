package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// accountPath is where Kubernetes puts the token of a Pod's account.
const accountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// tokenLife is how long the token of an account is good.
const tokenLife = 12 * 60 * 60

// container is the environment that a kubelet gives to a container. A program of
// this machine takes the place of its image, and bin/pod shows it the volumes.
type container struct {
	plane *ControlPlane
	set   kubernetes.Interface
	// namespace and name of the Pod.
	namespace, name string
	pod             *corev1.PodSpec
	spec            *corev1.Container
	// dir holds the volumes, each in a directory with its name, and the root.
	dir string
}

var errNoVolume = errors.New("a volume of this kind cannot be played")

// program returns the process that runs a file in place of the container's image,
// with the arguments, and with variables beside the container's own.
func (c container) program(ctx context.Context, programs programs, file string, args, env []string) (Program, error) {
	mounts, err := c.mounts(ctx)
	if err != nil {
		return Program{}, err
	}
	own, err := c.env()
	if err != nil {
		return Program{}, err
	}
	return programs.inRoot(Program{Name: c.name, Path: file, Args: args, Env: append(own, env...), Home: c.dir}, mounts)
}

// inRoot has a program run by bin/pod, with directories at the paths that it knows.
func (p programs) inRoot(program Program, mounts map[string]string) (Program, error) {
	pod, err := p.path(programPod)
	if err != nil {
		return Program{}, err
	}
	root := filepath.Join(program.Home, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return Program{}, err
	}
	args := []string{"--root=" + root}
	for _, path := range slices.Sorted(maps.Keys(mounts)) {
		args = append(args, "--mount="+path+"="+mounts[path])
	}
	program.Args = append(append(args, "--", program.Path), program.Args...)
	program.Path = pod
	program.Env = append([]string{"HOME=/tmp", "TMPDIR=/tmp"}, program.Env...)
	program.mounts = true
	return program, nil
}

// mounts returns the directories of the container's volumes by its paths.
func (c container) mounts(ctx context.Context) (map[string]string, error) {
	mounts := map[string]string{}
	for _, mount := range c.spec.VolumeMounts {
		i := slices.IndexFunc(c.pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			// Kubernetes adds it, for example the token of the account.
			continue
		}
		dir := filepath.Join(c.dir, "volumes", mount.Name)
		if err := c.writeVolume(ctx, dir, &c.pod.Volumes[i]); err != nil {
			return nil, fmt.Errorf("volume %s of %s: %w", mount.Name, c.name, err)
		}
		mounts[mount.MountPath] = filepath.Join(dir, filepath.FromSlash(mount.SubPath))
	}
	if automount := c.pod.AutomountServiceAccountToken; automount != nil && !*automount {
		return mounts, nil
	}
	dir := filepath.Join(c.dir, "account")
	if err := c.writeAccount(ctx, dir); err != nil {
		return nil, fmt.Errorf("account of %s: %w", c.name, err)
	}
	mounts[accountPath] = dir
	return mounts, nil
}

func (c container) writeVolume(ctx context.Context, dir string, volume *corev1.Volume) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	switch {
	case volume.EmptyDir != nil:
		return nil
	case volume.Secret != nil:
		source := volume.Secret
		return c.writeSecret(ctx, dir, source.SecretName, source.Items, source.Optional)
	case volume.ConfigMap != nil:
		return c.writeConfigMap(ctx, dir, volume.ConfigMap)
	case volume.DownwardAPI != nil:
		// A label or an annotation that appears later: nothing is there at first.
		return nil
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			if source.Secret == nil {
				continue
			}
			if err := c.writeSecret(ctx, dir, source.Secret.Name, source.Secret.Items, source.Secret.Optional); err != nil {
				return err
			}
		}
		return nil
	}
	return errNoVolume
}

func (c container) writeSecret(ctx context.Context, dir, name string, items []corev1.KeyToPath, optional *bool) error {
	secret, err := c.set.CoreV1().Secrets(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	if err != nil {
		return err
	}
	return writeFiles(dir, secret.Data, items)
}

func (c container) writeConfigMap(ctx context.Context, dir string, source *corev1.ConfigMapVolumeSource) error {
	config, err := c.set.CoreV1().ConfigMaps(c.namespace).Get(ctx, source.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && source.Optional != nil && *source.Optional {
		return nil
	}
	if err != nil {
		return err
	}
	data := map[string][]byte{}
	maps.Copy(data, config.BinaryData)
	for key, content := range config.Data {
		data[key] = []byte(content)
	}
	return writeFiles(dir, data, source.Items)
}

// writeFiles writes the selected keys of an object's data, or all if items is nil.
func writeFiles(dir string, data map[string][]byte, items []corev1.KeyToPath) error {
	if items == nil {
		for key := range data {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	for _, item := range items {
		path := filepath.Join(dir, filepath.FromSlash(item.Path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data[item.Key], 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// writeAccount writes the files of the account that a Pod mounts.
func (c container) writeAccount(ctx context.Context, dir string) error {
	account := c.pod.ServiceAccountName
	if account == "" {
		account = "default"
	}
	seconds := int64(tokenLife)
	token, err := c.set.CoreV1().ServiceAccounts(c.namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"token": []byte(token.Status.Token), "namespace": []byte(c.namespace), "ca.crt": c.plane.authority.certificate,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// env returns the variables of the container, and those that lead to the API server.
func (c container) env() ([]string, error) {
	server, err := url.Parse(c.plane.URL)
	if err != nil {
		return nil, err
	}
	env := []string{"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port()}
	for _, variable := range c.spec.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil && from.FieldRef != nil {
			switch from.FieldRef.FieldPath {
			case "metadata.name":
				value = c.name
			case "metadata.namespace":
				value = c.namespace
			}
		}
		env = append(env, variable.Name+"="+value)
	}
	return env, nil
}

// variable returns the value of a variable of a container, as it is written there.
func variable(spec *corev1.Container, name string) (string, bool) {
	for _, v := range spec.Env {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}
