"""Countries from well known to rare, with the capital, the continent, the currency and another known city.

The other city is what the misconception about capitals names; it is given for Africa and South America.
"""

from dataclasses import dataclass

# Country, capital, continent, currency, other city. Left empty where the fact is disputed or unneeded.
_ROWS = """
France|Paris|Europe|euro|
Germany|Berlin|Europe|euro|
Italy|Rome|Europe|euro|
Spain|Madrid|Europe|euro|
Japan|Tokyo|Asia|yen|
China|Beijing|Asia|yuan|
Brazil|Brasilia|South America|real|Rio de Janeiro
Egypt|Cairo|Africa|pound|Alexandria
India|New Delhi|Asia|rupee|
Russia|Moscow||ruble|
Canada|Ottawa|North America|dollar|
Mexico|Mexico City|North America|peso|
Argentina|Buenos Aires|South America|peso|Cordoba
Nigeria|Abuja|Africa|naira|Lagos
Kenya|Nairobi|Africa|shilling|Mombasa
Greece|Athens|Europe|euro|
Portugal|Lisbon|Europe|euro|
Ireland|Dublin|Europe|euro|
Poland|Warsaw|Europe|zloty|
Sweden|Stockholm|Europe|krona|
Norway|Oslo|Europe|krone|
Denmark|Copenhagen|Europe|krone|
Finland|Helsinki|Europe|euro|
Australia|Canberra|Oceania|dollar|
Morocco|Rabat|Africa|dirham|Casablanca
Chile|Santiago|South America|peso|Valparaiso
Peru|Lima|South America|sol|Cusco
Colombia|Bogota|South America|peso|Medellin
Austria|Vienna|Europe|euro|
Belgium|Brussels|Europe|euro|
the Netherlands|Amsterdam|Europe|euro|
Switzerland|Bern|Europe|franc|
Turkey|Ankara||lira|
Thailand|Bangkok|Asia|baht|
Vietnam|Hanoi|Asia|dong|
South Korea|Seoul|Asia|won|
Indonesia|Jakarta|Asia|rupiah|
Iran|Tehran|Asia|rial|
Iraq|Baghdad|Asia|dinar|
Cuba|Havana|North America|peso|
New Zealand|Wellington|Oceania|dollar|
Ethiopia|Addis Ababa|Africa|birr|Gondar
Ghana|Accra|Africa|cedi|Kumasi
Algeria|Algiers|Africa|dinar|Oran
Tunisia|Tunis|Africa|dinar|Sfax
Venezuela|Caracas|South America|bolivar|Maracaibo
Ecuador|Quito|South America|dollar|Guayaquil
Uruguay|Montevideo|South America|peso|Salto
Hungary|Budapest|Europe|forint|
the Czech Republic|Prague|Europe|koruna|
Romania|Bucharest|Europe|leu|
Bulgaria|Sofia|Europe||
Ukraine|Kyiv|Europe|hryvnia|
Croatia|Zagreb|Europe|euro|
Serbia|Belgrade|Europe|dinar|
Iceland|Reykjavik|Europe|krona|
Pakistan|Islamabad|Asia|rupee|
the Philippines|Manila|Asia|peso|
Saudi Arabia|Riyadh|Asia|riyal|
Afghanistan|Kabul|Asia|afghani|
Nepal|Kathmandu|Asia|rupee|
Bangladesh|Dhaka|Asia|taka|
Senegal|Dakar|Africa|franc|Touba
Uganda|Kampala|Africa|shilling|Entebbe
Tanzania|Dodoma|Africa|shilling|Dar es Salaam
Zimbabwe|Harare|Africa||Bulawayo
Zambia|Lusaka|Africa|kwacha|Ndola
Cameroon|Yaounde|Africa|franc|Douala
Angola|Luanda|Africa|kwanza|Benguela
Libya|Tripoli|Africa|dinar|Benghazi
Sudan|Khartoum|Africa|pound|Omdurman
Somalia|Mogadishu|Africa|shilling|Hargeisa
Paraguay|Asuncion|South America|guarani|Encarnacion
Syria|Damascus|Asia|pound|
Lebanon|Beirut|Asia|pound|
Jordan|Amman|Asia|dinar|
Kuwait|Kuwait City|Asia|dinar|
Qatar|Doha|Asia|riyal|
Oman|Muscat|Asia|rial|
Mongolia|Ulaanbaatar|Asia|tugrik|
Cambodia|Phnom Penh|Asia|riel|
Laos|Vientiane|Asia|kip|
Jamaica|Kingston|North America|dollar|
Costa Rica|San Jose|North America|colon|
Guatemala|Guatemala City|North America|quetzal|
Honduras|Tegucigalpa|North America|lempira|
Nicaragua|Managua|North America|cordoba|
Haiti|Port-au-Prince|North America|gourde|
Panama|Panama City|North America||
El Salvador|San Salvador|North America|dollar|
Slovakia|Bratislava|Europe|euro|
Slovenia|Ljubljana|Europe|euro|
Albania|Tirana|Europe|lek|
Estonia|Tallinn|Europe|euro|
Latvia|Riga|Europe|euro|
Lithuania|Vilnius|Europe|euro|
Belarus|Minsk|Europe|ruble|
Moldova|Chisinau|Europe|leu|
Luxembourg|Luxembourg|Europe|euro|
Malta|Valletta|Europe|euro|
Madagascar|Antananarivo|Africa|ariary|Toamasina
Mozambique|Maputo|Africa|metical|Beira
Namibia|Windhoek|Africa|dollar|Walvis Bay
Botswana|Gaborone|Africa|pula|Francistown
Rwanda|Kigali|Africa|franc|Butare
Mali|Bamako|Africa|franc|Timbuktu
Niger|Niamey|Africa|franc|Agadez
Chad|Ndjamena|Africa|franc|Moundou
Gabon|Libreville|Africa|franc|Port-Gentil
Liberia|Monrovia|Africa|dollar|Buchanan
Sierra Leone|Freetown|Africa|leone|Makeni
Malawi|Lilongwe|Africa|kwacha|Blantyre
Togo|Lome|Africa|franc|Kara
Guinea|Conakry|Africa|franc|Kankan
Burkina Faso|Ouagadougou|Africa|franc|Bobo-Dioulasso
Mauritania|Nouakchott|Africa|ouguiya|Nouadhibou
Eritrea|Asmara|Africa|nakfa|Massawa
Lesotho|Maseru|Africa|loti|Teyateyaneng
the Gambia|Banjul|Africa|dalasi|Serekunda
Guyana|Georgetown|South America|dollar|Linden
Suriname|Paramaribo|South America|dollar|Nieuw Nickerie
Uzbekistan|Tashkent|Asia|som|
Bhutan|Thimphu|Asia|ngultrum|
Fiji|Suva|Oceania|dollar|
Samoa|Apia|Oceania|tala|
Tonga|Nukualofa|Oceania||
Papua New Guinea|Port Moresby|Oceania|kina|
"""


@dataclass(frozen=True, slots=True)
class Country:
    """What the families about countries know of one country; an empty field is not asked for."""

    name: str
    capital: str
    continent: str
    currency: str
    other_city: str


COUNTRIES = tuple(Country(*row.split("|")) for row in _ROWS.strip().splitlines())
