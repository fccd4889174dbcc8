package catalogue

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// The default range of node ports in Kubernetes.
const (
	firstNodePort = 30000
	lastNodePort  = 32767
)

// The settings that have a meaning beyond their component: the ones with fields in a
// Cluster, and httpsPort. The catalogue sets httpsPort: it is the port of the gateway in
// front of a page.
const (
	settingHost          = "host"
	settingHTTPNodePort  = "httpNodePort"
	settingHTTPSNodePort = "httpsNodePort"
	settingHTTPSPort     = "httpsPort"
)

// SettingClusterIssuer is the setting of the component that issues certificates.
const SettingClusterIssuer = "clusterIssuer"

// readSetting returns the value of a setting, which is a string, an int64 or a bool, or
// the problem of the text.
func readSetting(kind v1alpha1.ComponentSettingType, text string) (value any, wrong string) {
	switch kind {
	case v1alpha1.SettingHost:
		if len(validation.IsDNS1123Subdomain(text)) > 0 {
			return nil, "write the name of a host, as argocd.example.com"
		}
		return text, ""
	case v1alpha1.SettingPort:
		port, err := strconv.ParseInt(text, 10, 64)
		if err != nil || port < firstNodePort || port > lastNodePort {
			return nil, fmt.Sprintf("write a node port, a number from %d to %d", firstNodePort, lastNodePort)
		}
		return port, ""
	case v1alpha1.SettingInteger:
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, "write a whole number"
		}
		return number, ""
	case v1alpha1.SettingBoolean:
		switch text {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "write true or false"
	}
	return text, ""
}

// given is the text of a setting and its field in the Cluster.
type given struct {
	text string
	at   *field.Path
	// implied is true for a text that counts only if the component has the setting.
	implied bool
}

// givenSettings returns the settings that a cluster gives to its component of a
// category. A field of the Cluster and an addition may set the same value twice, but
// not two different values.
func givenSettings(cluster *v1alpha1.Cluster, category v1alpha1.ComponentCategory, from *v1alpha1.Component) (map[string]given, field.ErrorList) {
	var errs field.ErrorList
	texts := map[string]given{}
	if from != nil {
		for name, text := range from.Additions {
			texts[name] = given{text: text, at: choicePath(category).Child("additions").Key(name)}
		}
	}
	own := func(name, text string, path ...string) {
		at := field.NewPath("spec", path...)
		if before := texts[name]; before.text != "" && text != "" && before.text != text {
			errs = append(errs, field.Invalid(at, text, fmt.Sprintf("%s says something else: remove one of them", before.at)))
		}
		if text != "" {
			texts[name] = given{text: text, at: at}
		}
	}
	spec := &cluster.Spec
	switch category {
	case v1alpha1.CategoryDeployment:
		own(settingHost, spec.ArgoCDHost, "argocdHost")
	case v1alpha1.CategoryPipeline:
		own(settingHost, spec.TektonHost, "tektonHost")
	case v1alpha1.CategoryGateway:
		if spec.Traefik != nil {
			own(settingHTTPNodePort, spec.Traefik.HTTPNodePort, "traefik", "httpNodePort")
			own(settingHTTPSNodePort, spec.Traefik.HTTPSNodePort, "traefik", "httpsNodePort")
		}
	case v1alpha1.CategoryVirtualCluster:
		if server := apiServerPort(spec.APIServer); server != "" {
			texts[settingHTTPSNodePort] = given{text: server, at: field.NewPath("spec", "apiServer"), implied: true}
		}
		if spec.VCluster != nil && spec.VCluster.HTTPSNodePort != "" {
			texts[settingHTTPSNodePort] = given{text: spec.VCluster.HTTPSNodePort, at: field.NewPath("spec", "vcluster", "httpsNodePort")}
		}
	}
	return texts, errs
}

// readSettings returns the typed settings of a cluster's component, without the ones
// that have no value. Defaults can contain references to the cluster.
func readSettings(cluster *v1alpha1.Cluster, made selection, httpsPort int64, find lookup) (map[string]any, field.ErrorList) {
	category := made.component.spec.Category
	texts, errs := givenSettings(cluster, category, made.from)
	known := map[string]bool{}
	values := make(map[string]any, len(made.component.settings))
	for _, one := range made.component.settings {
		name := one.spec.Name
		known[name] = true
		said, at := texts[name], choicePath(category).Child("additions").Key(name)
		if said.at != nil {
			at = said.at
		}
		text := said.text
		switch {
		case text != "":
		case name == settingHTTPSPort && one.spec.Type == v1alpha1.SettingInteger && httpsPort != 0:
			values[name] = httpsPort
			continue
		case one.fallback != nil:
			// All references to the cluster are texts.
			text, _ = one.fallback.value(find).(string)
		}
		if text == "" {
			if one.required {
				errs = append(errs, field.Required(at, fmt.Sprintf("%s needs the setting %s", made.component.spec.Name, name)))
			}
			continue
		}
		value, wrong := readSetting(one.spec.Type, text)
		if wrong != "" {
			if said.implied {
				wrong += ", or set spec.vcluster.httpsNodePort"
			}
			errs = append(errs, field.Invalid(at, text, fmt.Sprintf("%s of %s: %s", name, made.component.spec.Name, wrong)))
			continue
		}
		values[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if said := texts[name]; !known[name] && !said.implied {
			errs = append(errs, field.Invalid(said.at, field.OmitValueType{}, fmt.Sprintf(
				"%s has no setting %s, its settings are: %s%s", made.component.spec.Name, name, made.component.settingNames(), wayOut(name))))
		}
	}
	return values, append(errs, samePorts(made, values, texts)...)
}

// wayOut returns the replacement of a setting of earlier versions, or "" if there was no
// such setting.
func wayOut(setting string) string {
	switch setting {
	case "productResourceKustomizeFileFolder", "productResourceRevision":
		return "; deploy resources that a product shares by a DeploymentRuntime, or by spec.additionalResources of a ProjectPipelineRuntime, and remove the setting"
	case "syncResourceTypes":
		return "; deploy the objects to each namespace from Git, or set spec.resources of the HNCConfiguration config by a component of the ComponentCatalogue, and remove the setting"
	}
	return ""
}

// samePorts returns an error if two settings of a component have the same node port.
func samePorts(made selection, values map[string]any, texts map[string]given) field.ErrorList {
	var errs field.ErrorList
	taken := map[any]string{}
	for _, one := range made.component.settings {
		value := values[one.spec.Name]
		if one.spec.Type != v1alpha1.SettingPort || value == nil {
			continue
		}
		if other := taken[value]; other != "" {
			at := choicePath(made.component.spec.Category).Child("additions").Key(one.spec.Name)
			if said := texts[one.spec.Name]; said.at != nil {
				at = said.at
			}
			errs = append(errs, field.Invalid(at, value, fmt.Sprintf("%s of %s has the same port: choose another one", other, made.component.spec.Name)))
		}
		taken[value] = one.spec.Name
	}
	return errs
}

// PrimaryDomain returns the domain of a cluster's host names: its own, or the host of
// its API server. For an IPv4 address that is a name of nip.io. It returns "" if there
// is none.
func PrimaryDomain(cluster *v1alpha1.Cluster) string {
	if cluster.Spec.PrimaryDomain != "" {
		return cluster.Spec.PrimaryDomain
	}
	host := apiServerHost(cluster.Spec.APIServer)
	address, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return host
	case address.Is4():
		return host + ".nip.io"
	}
	return ""
}

func apiServerHost(server string) string {
	parsed, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// apiServerPort returns the port of an API server's URL in text form.
func apiServerPort(server string) string {
	parsed, err := url.Parse(server)
	if err != nil || parsed.Host == "" {
		return ""
	}
	if port := parsed.Port(); port != "" {
		return port
	}
	if parsed.Scheme == "http" {
		return "80"
	}
	return "443"
}
