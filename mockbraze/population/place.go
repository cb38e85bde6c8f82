package population

// Place is where people live, and what follows from it.
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
	// Offset is how many minutes the clocks there are ahead of UTC. It is that of
	// June 2026 all year round, so that it depends on no table of time zones.
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
