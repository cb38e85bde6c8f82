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

// Campaign is one campaign and the variations of its message.
type Campaign struct {
	Named
	Channel    Channel
	Variations []Named
}

// Step is one step of a Canvas and the variations of its message.
type Step struct {
	Named
	Variations []Named
}

// Canvas is one Canvas: variations (the ways through it) and steps in order.
type Canvas struct {
	Named
	Variations []Named
	Steps      []Step
	// Splits are the paths of the Canvas's experiment step, ExperimentID.
	ExperimentID string
	Splits       []Named
}

// Group is a subscription group and the sender that its messages come from.
type Group struct {
	Named
	Channel Channel
	Number  string // E.164, for SMS and WhatsApp
	Sender  string // RCS agent or LINE channel id
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

func places() []Place {
	return []Place{
		{"New York", "US", "America/New_York", "en", "en-us", "USD", 2, "+12125", 6, "Verizon", 40712800, -74006000, -240},
		{"Chicago", "US", "America/Chicago", "en", "en-us", "USD", 2, "+13125", 6, "AT&T", 41878100, -87629800, -300},
		{"Denver", "US", "America/Denver", "en", "en-us", "USD", 2, "+13035", 6, "T-Mobile", 39739200, -104990300, -360},
		{"Los Angeles", "US", "America/Los_Angeles", "en", "en-us", "USD", 2, "+13105", 6, "Verizon", 34052200, -118243700, -420},
		{"Toronto", "CA", "America/Toronto", "en", "en-ca", "CAD", 2, "+14165", 6, "Rogers", 43653200, -79383200, -240},
		{"Ciudad de México", "MX", "America/Mexico_City", "es", "es-mx", "MXN", 2, "+5255", 8, "Telcel", 19432600, -99133200, -360},
		{"São Paulo", "BR", "America/Sao_Paulo", "pt", "pt-br", "BRL", 2, "+55119", 8, "Vivo", -23550500, -46633300, -180},
		{"Buenos Aires", "AR", "America/Argentina/Buenos_Aires", "es", "es-ar", "ARS", 2, "+54911", 8, "Claro", -34603700, -58381600, -180},
		{"London", "GB", "Europe/London", "en", "en-gb", "GBP", 2, "+447700", 6, "EE", 51507400, -127800, 60},
		{"Dublin", "IE", "Europe/Dublin", "en", "en-ie", "EUR", 2, "+35385", 7, "Vodafone IE", 53349800, -6260300, 60},
		{"Paris", "FR", "Europe/Paris", "fr", "fr-fr", "EUR", 2, "+336", 8, "Orange", 48856600, 2352200, 120},
		{"Berlin", "DE", "Europe/Berlin", "de", "de-de", "EUR", 2, "+49151", 8, "Telekom.de", 52520000, 13405000, 120},
		{"Madrid", "ES", "Europe/Madrid", "es", "es-es", "EUR", 2, "+346", 8, "Movistar", 40416800, -3703800, 120},
		{"Roma", "IT", "Europe/Rome", "it", "it-it", "EUR", 2, "+39347", 7, "TIM", 41902800, 12496400, 120},
		{"Stockholm", "SE", "Europe/Stockholm", "sv", "sv-se", "SEK", 2, "+4670", 7, "Telia", 59329300, 18068600, 120},
		{"Warszawa", "PL", "Europe/Warsaw", "pl", "pl-pl", "PLN", 2, "+48501", 6, "Orange", 52229700, 21012200, 120},
		{"İstanbul", "TR", "Europe/Istanbul", "tr", "tr-tr", "TRY", 2, "+90532", 7, "Turkcell", 41008200, 28978400, 180},
		{"Dubai", "AE", "Asia/Dubai", "ar", "ar-ae", "AED", 2, "+97150", 7, "etisalat", 25204800, 55270800, 240},
		{"Mumbai", "IN", "Asia/Kolkata", "hi", "hi-in", "INR", 2, "+9198", 8, "Jio", 19076000, 72877700, 330},
		{"Singapore", "SG", "Asia/Singapore", "en", "en-sg", "SGD", 2, "+659", 7, "Singtel", 1352100, 103819800, 480},
		{"東京", "JP", "Asia/Tokyo", "ja", "ja-jp", "JPY", 0, "+8190", 8, "NTT DOCOMO", 35676200, 139650300, 540},
		{"서울", "KR", "Asia/Seoul", "ko", "ko-kr", "KRW", 0, "+8210", 8, "SK Telecom", 37566500, 126978000, 540},
		{"Sydney", "AU", "Australia/Sydney", "en", "en-au", "AUD", 2, "+614", 8, "Telstra", -33868800, 151209300, 600},
		{"Johannesburg", "ZA", "Africa/Johannesburg", "en", "en-za", "ZAR", 2, "+2782", 7, "Vodacom", -26204100, 28047300, 120},
	}
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
	Class      string // mobile, tablet, desktop, tv
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

// platformOf is the platform of the user with an index, so that UserOn can tell
// where the next user of a platform is.
func platformOf(index uint64) Platform { return platformRow[index%rowLength] }

const (
	safariPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	safariPad   = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	safariMac   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
	chromePhone = "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36"
	chromeWin   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36"
	firefoxWin  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0"
	silkTablet  = "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/122.4.1 like Chrome/122.0.6261.140 Safari/537.36"
	appleTV     = "AppleTV11,1/17.5 (21L569)"
	rokuAgent   = "Roku/DVP-13.0 (13.0.0.2115-AD)"
)

func models() map[Platform][]Model {
	return map[Platform][]Model{
		IOS: {
			{"iPhone15,3", "iOS", "17.5.1", "mobile", "Mobile Safari", safariPhone, "1290x2796"},
			{"iPhone14,5", "iOS", "17.4", "mobile", "Mobile Safari", safariPhone, "1170x2532"},
			{"iPhone12,1", "iOS", "16.7.8", "mobile", "Mobile Safari", safariPhone, "828x1792"},
			{"iPad13,4", "iPadOS", "17.5", "tablet", "Mobile Safari", safariPad, "1668x2388"},
		},
		Android: {
			{"Pixel 8", "Android", "14", "mobile", "Chrome Mobile", chromePhone, "1080x2400"},
			{"SM-S918B", "Android", "14", "mobile", "Samsung Internet", chromePhone, "1440x3088"},
			{"SM-A546E", "Android", "13", "mobile", "Chrome Mobile", chromePhone, "1080x2340"},
			{"Redmi Note 12", "Android", "13", "mobile", "Chrome Mobile", chromePhone, "1080x2400"},
		},
		Kindle: {{"KFTRWI", "Fire OS", "8.3.2", "tablet", "Silk", silkTablet, "1200x2000"}},
		Web: {
			{"Windows PC", "Windows", "10", "desktop", "Chrome", chromeWin, "1920x1080"},
			{"Windows PC", "Windows", "11", "desktop", "Firefox", firefoxWin, "2560x1440"},
			{"Macintosh", "Mac OS X", "14.5", "desktop", "Safari", safariMac, "1512x982"},
		},
		TVOS: {{"AppleTV11,1", "tvOS", "17.5", "tv", "AppleTV", appleTV, "3840x2160"}},
		Roku: {{"Roku Ultra 4800X", "Roku OS", "13.0.0", "tv", "Roku", rokuAgent, "1920x1080"}},
	}
}
