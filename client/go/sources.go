// Where identity tokens come from: https://cloud.google.com/run/docs/authenticating/service-to-service.

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

const (
	credentialsVariable  = "GOOGLE_APPLICATION_CREDENTIALS"
	metadataHostVariable = "GCE_METADATA_HOST"
	scope                = "https://www.googleapis.com/auth/cloud-platform"
	httpTimeout          = 30 * time.Second
	gcloudTimeout        = 30 * time.Second
	longestAnswer        = 1 << 20
)

// isOnGoogleCloud returns whether the environment variables are those of a service on Cloud Run, or name a metadata
// server.
func isOnGoogleCloud() bool {
	return os.Getenv("K_SERVICE") != "" || os.Getenv(metadataHostVariable) != ""
}

// sourceOnce returns a source that searches for credentials when the first token is fetched, and then keeps to them.
// tokens never fetches two tokens at a time.
func sourceOnce(audience, impersonate string) source {
	var found source
	return func() (token, error) {
		if found == nil {
			var err error
			if found, err = findSource(audience, impersonate); err != nil {
				return token{}, err
			}
		}
		return found()
	}
}

// findSource returns the source of tokens for an audience, the URL of a service with https:// and without a port. In
// order of precedence: the account to impersonate; the file in GOOGLE_APPLICATION_CREDENTIALS; the metadata server, if
// K_SERVICE or GCE_METADATA_HOST is set; gcloud; the metadata server of a virtual machine. It returns an error if no
// credentials that can get tokens are available.
func findSource(audience, impersonate string) (source, error) {
	found, err := firstSource(audience, impersonate)
	if err != nil {
		return nil, fmt.Errorf("no credentials for an identity token: %w. Run gcloud auth login, or set %s to a key file",
			err, credentialsVariable)
	}
	return found, nil
}

func firstSource(audience, impersonate string) (source, error) {
	if impersonate != "" {
		return impersonatedSource(audience, impersonate)
	}
	if file := os.Getenv(credentialsVariable); file != "" {
		return fileSource(file, audience)
	}
	if isOnGoogleCloud() {
		return instanceSource(audience)
	}
	if _, err := exec.LookPath("gcloud"); err == nil {
		return func() (token, error) { return gcloudToken(audience) }, nil
	}
	if metadata.OnGCE() {
		return instanceSource(audience)
	}
	return nil, errors.New("there is neither gcloud nor a metadata server")
}

// sourceOf returns a source from a function that fetches the text of a token.
func sourceOf(value func() (string, error)) source {
	return func() (token, error) {
		text, err := value()
		if err != nil {
			return token{}, fmt.Errorf("cannot fetch an identity token: %w", err)
		}
		return parseToken(text)
	}
}

// instanceSource returns the source of tokens of the instance's service account: the metadata server.
// Requests bypass HTTP proxies, which cannot reach it.
func instanceSource(audience string) (source, error) {
	const account = "instance/service-accounts/default/"
	server := metadata.NewClient(&http.Client{Transport: &http.Transport{}, Timeout: httpTimeout})
	if _, err := server.Get(account + "?recursive=true"); err != nil {
		return nil, err
	}
	query := url.Values{"audience": {audience}, "format": {"full"}}.Encode()
	return sourceOf(func() (string, error) { return server.Get(account + "identity?" + query) }), nil
}

// httpContext returns a context with the client for requests to Google's APIs and to identity providers.
func httpContext() context.Context {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = proxyOf
	client := &http.Client{Transport: transport, Timeout: httpTimeout}
	return context.WithValue(context.Background(), oauth2.HTTPClient, client)
}

// proxyOf returns the proxy for a request: nil for the metadata server, which a proxy cannot reach. Go exempts loopback.
func proxyOf(request *http.Request) (*url.URL, error) {
	if slices.Contains([]string{"169.254.169.254", "metadata.google.internal"}, request.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(request)
}

// credentialsFile has the fields of a credentials file that the google package does not use for identity tokens.
type credentialsFile struct {
	Type              string          `json:"type"`
	ImpersonationURL  string          `json:"service_account_impersonation_url"`
	Delegates         []string        `json:"delegates"`
	SourceCredentials json.RawMessage `json:"source_credentials"`
}

// account returns the e-mail address of the service account that the credentials impersonate; otherwise "".
func (f credentialsFile) account() string {
	_, name, _ := strings.Cut(f.ImpersonationURL, "/serviceAccounts/")
	account, _, _ := strings.Cut(name, ":")
	return account
}

// fileSource returns the source of tokens of the service account in a credentials file.
func fileSource(file, audience string) (source, error) {
	ctx := httpContext()
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if _, err := google.CredentialsFromJSON(ctx, text, scope); err != nil {
		return nil, fmt.Errorf("%s is invalid: %w", file, err)
	}
	var fields credentialsFile
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	switch {
	case fields.Type == "service_account":
		return keySource(ctx, text, audience)
	case fields.Type == "external_account" && fields.account() == "":
		return nil, fmt.Errorf(
			"%s is for a federated identity, which must impersonate a service account to get identity tokens", file)
	case fields.Type == "external_account":
		return accountSource(ctx, text, fields.account(), audience, nil)
	case fields.Type == "impersonated_service_account":
		return accountSource(ctx, fields.SourceCredentials, fields.account(), audience, fields.Delegates)
	default:
		return nil, fmt.Errorf(
			"%s is for a user, who must impersonate a service account to get identity tokens for an audience", file)
	}
}

// keySource returns the source of tokens of the service account with a key.
func keySource(ctx context.Context, key []byte, audience string) (source, error) {
	config, err := google.JWTConfigFromJSON(key)
	if err != nil {
		return nil, err
	}
	config.PrivateClaims = map[string]any{"target_audience": audience}
	config.UseIDToken = true
	return sourceOf(func() (string, error) {
		fetched, err := config.TokenSource(ctx).Token() // a TokenSource would return the same token again
		if err != nil {
			return "", err
		}
		return fetched.AccessToken, nil
	}), nil
}

// impersonatedSource returns the source of tokens of an account that the available credentials may impersonate.
func impersonatedSource(audience, account string) (source, error) {
	ctx := httpContext()
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return nil, err
	}
	if found.JSON != nil {
		return accountSource(ctx, found.JSON, account, audience, nil)
	}
	return sourceOf(func() (string, error) {
		return generateIDToken(oauth2.NewClient(ctx, found.TokenSource), account, audience, nil)
	}), nil
}

// accountSource returns the source of tokens of an account that the identity in a credentials file may impersonate,
// directly or through delegates.
//
// IAM lets a federated identity create tokens for the account that it impersonates. By default, that account may not
// create tokens for itself. So the federated identity then asks directly.
func accountSource(ctx context.Context, text []byte, account, audience string, delegates []string) (source, error) {
	var fields credentialsFile
	err := json.Unmarshal(text, &fields)
	if err == nil && fields.Type == "external_account" && fields.account() == account {
		text, err = withoutImpersonation(text)
	}
	if err != nil {
		return nil, err
	}
	identity, err := google.CredentialsFromJSON(ctx, text, scope)
	if err != nil {
		return nil, err
	}
	client := oauth2.NewClient(ctx, identity.TokenSource)
	return sourceOf(func() (string, error) { return generateIDToken(client, account, audience, delegates) }), nil
}

func withoutImpersonation(text []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for name := range fields {
		if strings.HasPrefix(name, "service_account_impersonation") {
			delete(fields, name)
		}
	}
	return json.Marshal(fields)
}

// generateIDToken returns an identity token of an account, on behalf of the client's identity:
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken.
func generateIDToken(client *http.Client, account, audience string, delegates []string) (string, error) {
	address := "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" +
		url.PathEscape(account) + ":generateIdToken"
	request, err := json.Marshal(map[string]any{"audience": audience, "includeEmail": true, "delegates": delegates})
	if err != nil {
		return "", err
	}
	response, err := client.Post(address, "application/json", bytes.NewReader(request))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s: %s", address, response.Status, body)
	}
	var answer struct{ Token string }
	err = json.Unmarshal(body, &answer)
	return answer.Token, err
}

// gcloudToken returns the token that gcloud prints for the user or the service account that is logged in.
func gcloudToken(audience string) (token, error) {
	// gcloud accepts an audience only for a service account. A user's token is for gcloud's own audience, which Cloud Run
	// accepts too.
	value, err := runGcloud("--audiences=" + audience)
	var refused *exec.ExitError
	if errors.As(err, &refused) {
		value, err = runGcloud()
	}
	if errors.As(err, &refused) {
		reason, _, _ := strings.Cut(strings.TrimSpace(string(refused.Stderr)), "\n")
		if reason == "" {
			reason = "no reason given"
		}
		return token{}, fmt.Errorf("gcloud has no identity token (%s); run gcloud auth login", reason)
	}
	if err != nil {
		return token{}, fmt.Errorf("gcloud failed: %w", err)
	}
	printed, err := parseToken(value)
	if err != nil {
		return token{}, errors.New("gcloud printed something that is not an identity token")
	}
	return printed, nil
}

func runGcloud(options ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gcloudTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "gcloud", append([]string{"auth", "print-identity-token"}, options...)...)
	command.WaitDelay = time.Second // its child processes may keep the pipes open
	printed, err := command.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("no answer within %v", gcloudTimeout)
	}
	return strings.TrimSpace(string(printed)), err
}
