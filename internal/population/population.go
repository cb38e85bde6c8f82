// Package population is the workspace that the fake Braze sends events about, with its
// people. It does not store them: a user follows from the seed and an index, so a
// million users need no memory.
//
// No step uses floating point, the clock, the order of a map or the number of
// processors, so one seed means one workspace on every machine. Phone numbers, names and
// addresses are invented; e-mail is under the domains that RFC 2606 reserves.
package population

import (
	"cmp"
	_ "embed" // for workspace.json
	"encoding/json"
	"fmt"
	"strings"

	"github.com/brianvoe/gofakeit/v6"
)

// Config is what a workspace is made from. The zero value works.
type Config struct {
	// Seed decides everything else; workspaces of one seed are equal.
	Seed uint64
	// Users is rounded up to a multiple of 20, so that every platform has its share; 0
	// means 10,000.
	Users uint64
	// AnonymousPercent are without an external_user_id. Negative means none; 0 means
	// 12 (an assumption: Braze says only that there are some).
	AnonymousPercent int
}

// Population is one workspace. It never changes once it was made.
type Population struct {
	// GroupID is the workspace's own id (app_group_id).
	GroupID                             string
	Name                                string
	Domain                              string
	Campaigns                           map[Channel][]Message
	Canvases                            []Canvas
	Groups                              map[Channel]*Group
	Products                            []Product
	Agents                              []Agent
	LandingPages, Surveys, Destinations []Named // Destinations are those of Canvases
	// Sentences are short texts of messages.
	Sentences []string

	draw             Draw
	users            uint64
	anonymousPercent int
	apps             map[Platform]*App
	texts            texts
	firstNames       []string
	lastNames        []string
	genders          []string
}

//go:embed workspace.json
var workspace []byte

// texts are what is equal in all workspaces.
type texts struct {
	Places                                []Place
	Models                                map[Platform][]Model
	Apps                                  []App
	Campaigns, Canvases, Steps, Sentences []string // Sentences have a %s for a product
	Agents                                []Agent
}

// keyUser separates what is drawn for people from what is drawn for the rest.
const keyUser = 0x75736572

// New makes the workspace of a Config, which takes about a millisecond.
func New(cfg Config) *Population {
	cfg.Users, cfg.AnonymousPercent = cmp.Or(cfg.Users, 10_000), cmp.Or(cfg.AnonymousPercent, 12)
	draw := Draw(mix(cfg.Seed + golden))
	src := &source{draw: draw.With(Key("names"))}
	fake := gofakeit.NewCustom(src)
	p := &Population{
		draw:             draw,
		users:            (cfg.Users + rowLength - 1) / rowLength * rowLength,
		anonymousPercent: max(cfg.AnonymousPercent, 0),
		GroupID:          uuidString(draw.With(Key("app group"))),
		Name:             fake.Company(),
		firstNames:       fill(400, fake.FirstName),
		lastNames:        fill(400, fake.LastName),
		genders:          []string{"F", "M", "F", "M", "F", "M", "O", "N", "P"},
	}
	if err := json.Unmarshal(workspace, &p.texts); err != nil {
		panic("workspace.json: " + err.Error())
	}
	p.Domain = string(appendLower(nil, p.Name)) + ".example.com"
	p.addApps()
	p.addCampaigns(fake)
	p.addCanvases(fake)
	p.addGroups()
	p.addProducts(fake)
	for i := range 200 {
		p.Sentences = append(p.Sentences, fmt.Sprintf(p.texts.Sentences[i%len(p.texts.Sentences)], p.Products[i%len(p.Products)].Name))
	}
	for i, agent := range p.texts.Agents {
		agent.ID = string(AppendHex(nil, p.Draw("agents").With(uint64(i)), 24))
		p.Agents = append(p.Agents, agent)
	}
	p.LandingPages = named(p.Draw("landing pages"), "Spring sale", "Newsletter sign-up", "Prize draw", "Feedback")
	p.Surveys = named(p.Draw("surveys"), "After purchase", "Why you left", "What you like")
	p.Destinations = named(p.Draw("destinations"), "Google Ads audience", "Loyalty platform", "Call centre")
	return p
}

// Draw is a source of choices for name that stay with the workspace.
func (p *Population) Draw(name string) Draw { return p.draw.With(Key(name)) }

func fill(n int, next func() string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = next()
	}
	return list
}

func (p *Population) addApps() {
	p.apps = make(map[Platform]*App)
	d := p.Draw("apps")
	for i, app := range p.texts.Apps {
		app.Named = Named{uuidString(d.With(uint64(i))), p.Name + " (" + string(app.Platform) + ")"}
		p.apps[app.Platform] = &app
	}
}

func named(d Draw, names ...string) []Named {
	list := make([]Named, len(names))
	for i, name := range names {
		list[i] = Named{uuidString(d.With(uint64(i))), name}
	}
	return list
}

func (p *Population) addCampaigns(fake *gofakeit.Faker) {
	p.Campaigns = make(map[Channel][]Message)
	d := p.Draw("campaigns")
	for i, channel := range Channels() {
		for j, theme := range p.texts.Campaigns {
			name := theme + " | " + string(channel) + " | " + fake.BuzzWord()
			p.Campaigns[channel] = append(p.Campaigns[channel], newCampaign(d.With(uint64(i)).With(uint64(j)), name))
		}
	}
}

func newCampaign(d Draw, name string) Message {
	return newMessage(d, name, named(d, "Control", "Variation A", "Variation B"))
}

// Campaign is campaign number n of a channel: one of Campaigns, or beyond them
// another one. With a name it has that name.
func (p *Population) Campaign(channel Channel, n int, name string) Message {
	if n < len(p.Campaigns[channel]) {
		c := p.Campaigns[channel][n]
		c.Name = cmp.Or(name, c.Name)
		return c
	}
	name = cmp.Or(name, fmt.Sprintf("Campaign %d | %s", n+1, channel))
	return newCampaign(p.Draw("more campaigns "+string(channel)).With(uint64(n)), name)
}

func (p *Population) addCanvases(fake *gofakeit.Faker) {
	d := p.Draw("canvases")
	for i, name := range p.texts.Canvases {
		here := d.With(uint64(i))
		canvas := Canvas{
			Named:        Named{uuidString(here), name + " " + fake.BuzzWord()},
			Variations:   named(here.With(1), "Variant 1", "Variant 2", "Variant 3"),
			ExperimentID: uuidString(here.With(2)),
			Splits:       named(here.With(3), "Path 1", "Path 2", "Delay"),
		}
		for j, step := range p.texts.Steps {
			at := here.With(4).With(uint64(j))
			canvas.Steps = append(canvas.Steps, newMessage(at, step, named(at, "Message A", "Message B")))
		}
		p.Canvases = append(p.Canvases, canvas)
	}
}

func (p *Population) addGroups() {
	p.Groups = make(map[Channel]*Group)
	d := p.Draw("groups")
	for i, channel := range []Channel{Email, SMS, RCS, WhatsApp, LINE} {
		here := d.With(uint64(i))
		group := &Group{
			Named:  Named{uuidString(here), "Marketing " + string(channel)},
			Number: string(AppendDigits([]byte("+1888555"), here.With(1), 4)),
			Sender: strings.Split(p.Domain, ".")[0] + "_agent",
		}
		if channel == LINE {
			group.Sender = string(AppendDigits([]byte("2"), here.With(2), 9))
		}
		p.Groups[channel] = group
	}
}

func (p *Population) addProducts(fake *gofakeit.Faker) {
	d := p.Draw("products")
	for i := range 200 {
		here := d.With(uint64(i))
		p.Products = append(p.Products, Product{
			Named:    Named{"sku-" + string(AppendDigits(nil, here, 6)), fake.ProductName()},
			Category: fake.ProductCategory(),
			Cents:    here.With(1).Between(3, 300)*100 - 1,
		})
	}
}

// Draw is a source of choices without state: the same Draw always gives the same
// result. With derives an independent Draw for a purpose or a running number, so
// values do not depend on what else is drawn, and by which goroutine.
type Draw uint64

// golden is 2^64 divided by the golden ratio, the step of SplitMix64.
const golden = 0x9E3779B97F4A7C15

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014): a
// bijection on 64 bits that passes the usual statistical tests.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

// Key turns a name into a number for With.
func Key(name string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// With derives the Draw for a key: Key of a name, or a running number.
func (d Draw) With(key uint64) Draw {
	return Draw(mix(uint64(d) + (key+1)*golden))
}

// Bits returns 64 even bits.
func (d Draw) Bits() uint64 { return mix(uint64(d) ^ 0x5851F42D4C957F2D) }

// N returns a number from 0 to n-1; n is at least 1 and below 2^32.
func (d Draw) N(n int) int { return int((d.Bits() >> 32) * uint64(n) >> 32) }

// Between returns a number from low to high, both included.
func (d Draw) Between(low, high int) int { return low + d.N(high-low+1) }

// Chance is true in percent of a hundred cases.
func (d Draw) Chance(percent int) bool { return d.N(100) < percent }

// Pick returns one of list, which must not be empty.
func Pick[T any](d Draw, list []T) T { return list[d.N(len(list))] }

// source is a Draw as a math/rand.Source64, for libraries.
type source struct {
	draw Draw
	n    uint64
}

func (s *source) Uint64() uint64 {
	s.n++
	return s.draw.With(s.n).Bits()
}

func (s *source) Int63() int64 { return int64(s.Uint64() >> 1) }

func (*source) Seed(int64) {}

// Channel is a channel of messages, as Braze writes it into channel.
type Channel string

// The channels.
const (
	Email        Channel = "email"
	Push         Channel = "push"
	InApp        Channel = "in_app_message"
	ContentCard  Channel = "content_card"
	Banner       Channel = "banner"
	SMS          Channel = "sms"
	RCS          Channel = "rcs"
	WhatsApp     Channel = "whatsapp"
	LINE         Channel = "line"
	Webhook      Channel = "webhook"
	FeatureFlag  Channel = "feature_flag"
	LiveActivity Channel = "live_activity"
)

// Channels lists them all.
func Channels() []Channel {
	return []Channel{Email, Push, InApp, ContentCard, Banner, SMS, RCS, WhatsApp, LINE, Webhook, FeatureFlag, LiveActivity}
}

// Named is a thing with an id and a name.
type Named struct{ ID, Name string }

// App is one app of the workspace, on one platform.
type App struct {
	Named
	Platform Platform
	// SDKVersion is the version of Braze's SDK in it.
	SDKVersion string
}

// Message is a campaign or a step of a Canvas, and the variations of its message.
type Message struct {
	Named
	Key        uint64 // of its ID, for Draws
	Variations []Named
}

func newMessage(d Draw, name string, variations []Named) Message {
	id := uuidString(d)
	return Message{Named{id, name}, Key(id), variations}
}

// Canvas is one Canvas: variations (the ways through it) and steps in order.
type Canvas struct {
	Named
	Variations []Named
	Steps      []Message
	// Splits are the paths of the Canvas's experiment step, ExperimentID.
	ExperimentID string
	Splits       []Named
}

// Group is a subscription group and the sender that its messages come from.
type Group struct {
	Named
	Number string // E.164, for SMS and WhatsApp
	Sender string // RCS agent or LINE channel id
}

// Product is something to buy; Cents is its price in hundredths of a currency.
type Product struct {
	Named
	Category string
	Cents    int
}

// Agent is an AI agent of the agent console.
type Agent struct {
	Named
	Provider, Model string
}

// Place is a place where people live.
type Place struct {
	City, Country string // Country: ISO 3166-1, two letters
	Zone          string // IANA time zone
	Language      string // ISO 639-1
	Locale        string // as Braze writes it: en-us
	Currency      string // ISO 4217
	Decimals      int    // of the currency
	Dial          string // how an E.164 mobile number there begins
	DialDigits    int    // how many digits follow Dial
	Carrier       string
	Lat, Lon      int // millionths of a degree
	// Offset is how many minutes local time is ahead of UTC: that of June 2026 all
	// year round, so that it depends on no table of time zones.
	Offset int
}

// Platform is the kind of device, as Braze writes it into platform.
type Platform string

// The platforms that Braze's event glossary names.
const (
	IOS     Platform = "ios"
	Android Platform = "android"
	Kindle  Platform = "kindle"
	Web     Platform = "web"
	TVOS    Platform = "tvos"
	Roku    Platform = "roku"
)

// Platforms lists them all, a phone's first and the browser's second.
func Platforms() []Platform { return []Platform{IOS, Web, Android, Kindle, TVOS, Roku} }

// Model is a model of device.
type Model struct {
	Name       string // as in device_model
	OS         string // as in device_os
	Version    string // as in os_version
	Class      string // as in device_class: mobile, tablet or desktop, also for a TV, for which Braze has no word
	Browser    string
	UserAgent  string
	Resolution string // width and height in pixels
}

// rowLength is how many users in a row have every platform.
const rowLength = 20

var platformRow = [rowLength]Platform{
	IOS, Android, IOS, Android, Web, IOS, Android, IOS, Android, Kindle,
	IOS, Android, IOS, Android, Web, IOS, TVOS, IOS, Android, Roku,
}

// PlatformOf is the platform of the first device of every Person with the index.
func PlatformOf(index uint64) Platform { return platformRow[index%rowLength] }
