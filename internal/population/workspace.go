package population

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
	Variations []Named
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
