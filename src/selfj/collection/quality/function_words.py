"""Frequent words of languages in Latin, Cyrillic and Arabic letters, by which they are told apart."""

LATIN = {
    "en": """the of and to in is are was were be been being have has had do does did will would can could should
        shall may might must this that these those there their they them he she it its his her him we us our
        you your i my me mine what which who whom whose when where why how many much not no if then than as
        at by for from with without into onto over under about after before between through during or but so
        such some any all each every other another most more less very also only just up down out off write
        explain describe give find make create list using use get show following translate translation
        translated sentence english summarize rewrite compute evaluate simplify update run start stop set
        search display non per al et print install open save check an a on because while help tell name add
        remove convert given need want please someone file files string function python difference first one
        two new""",
    "de": """der die das den dem des ein eine einen einem einer eines und oder aber nicht kein keine ist sind war
        waren wird werden wurde wurden hat haben hatte kann können muss müssen soll sollen auf aus bei mit
        nach seit von vom zu zum zur für über unter durch gegen ohne um an im ins als auch noch nur schon
        wie was wer wo wann warum welche welcher welches dieser diese dieses sich sie er es wir ihr ich mir
        mich dir dich uns ihre ihren sein seine mein meine dass wenn weil zwischen bitte schreibe schreiben
        erkläre beschreibe nenne gib erstelle folgende folgenden sehr mehr""",
    "fr": """le la les un une des du de et ou mais ne pas plus est sont était étaient être avoir ont avait peut
        peuvent doit faire fait dans sur sous avec sans pour par entre vers chez qui que quoi dont où quand
        comment pourquoi quel quelle quels quelles ce cet cette ces son sa ses leur leurs mon ma mes notre
        nos votre vos je tu il elle nous vous ils elles on se lui y en au aux si comme aussi très tout tous
        toute toutes autre donc car écrivez écris expliquez décrivez donnez qu c d l n s j m t suivante
        suivant veuillez""",
    "es": """el la los las un una unos unas de del al y o pero no es son era eran ser estar está están fue fueron
        ha han haber hay puede pueden debe hacer hace en con por para sobre entre hasta desde qué que quién
        cuál cuáles cuándo dónde cómo porque como este esta estos estas ese esa eso su sus mi mis tu tus
        nuestro yo él ella nosotros ellos se lo le les me te nos más muy también todo todos toda todas otro
        otra si ya cuando donde escribe explica describe crea siguiente siguientes según cada""",
    "it": """il lo la i gli le un uno una di del dello della dei degli delle da dal dalla a al alla ai alle in
        nel nella nei con su sul sulla per tra fra e o ma non è sono era erano essere ho hai ha hanno avere
        può possono deve fare che chi cosa quale quali quando dove come perché questo questa questi queste
        quello quella suo sua suoi mio mia io tu lui lei noi voi loro si ci vi ne mi ti più molto anche
        tutto tutti tutte altro se già scrivi spiega descrivi crea seguente seguenti""",
    "pt": """o a os as um uma uns umas de do da dos das em no na nos nas ao aos à às e ou mas não é são era eram
        ser estar está estão foi foram há tem têm ter pode podem deve fazer faz com sem por pelo pela para
        sobre entre até desde que quem qual quais quando onde como porque porquê este esta estes estas esse
        essa isso seu sua seus suas meu minha eu ele ela nós eles elas você vocês se lhe me te mais muito
        também todo todos toda todas outro outra já escreva explique descreva crie seguinte seguintes""",
    "nl": """de het een van en of maar niet geen is zijn was waren wordt worden werd werden heeft hebben had kan
        kunnen moet moeten zal zullen zou in op aan uit bij met naar voor over onder door tegen zonder om te
        tot als ook nog wel al hoe wat wie waar wanneer waarom welke deze dit die dat er zich zij hij wij
        jullie ik mij jou u uw hun haar mijn onze dan omdat tussen veel meer zeer andere schrijf geef
        beschrijf leg maak volgende""",
    "sv": """och att det som en ett den de är var inte på av för med till om från har hade kan ska skall skulle
        vill måste blir blev vara men eller när hur vad vem varför vilken vilket vilka detta denna dessa han
        hon vi ni jag du dig mig oss deras hans hennes sin sitt sina min mitt din efter före mellan under
        över utan så också bara mycket mer alla andra skriv förklara beskriv ge följande""",
    "da": """og at det som en et den de er var ikke på af for med til om fra har havde kan skal skulle vil måtte
        bliver blev være men eller når hvordan hvad hvem hvor hvorfor hvilken hvilket hvilke dette denne
        disse han hun vi jeg du dig mig os deres hans hendes sin sit sine min mit din efter før mellem under
        over uden så også kun meget mere alle andre skriv forklar beskriv giv følgende""",
    "no": """og at det som en et den de er var ikke på av for med til om fra har hadde kan skal skulle vil må
        blir ble være men eller når hvordan hva hvem hvor hvorfor hvilken hvilket hvilke dette denne disse
        han hun vi jeg du deg meg oss deres hans hennes sin sitt sine min mitt din etter før mellom under
        over uten så også bare mye mer alle andre skriv forklar beskriv gi følgende""",
    "fi": """ja on ei se että hän ne he oli ovat olla ole kun niin myös mutta tai vai jos kuin mitä mikä kuka
        missä milloin miksi miten kuinka tämä tämän nämä sen joka jotka jonka minä sinä me te minun sinun
        hänen meidän kanssa ilman ennen jälkeen välillä sekä vain vielä jo hyvin enemmän kaikki muu kirjoita
        selitä kuvaile anna seuraava seuraavat voi voivat pitää täytyy oma""",
    "pl": """i w na z że się nie do to jest są był była było były być jak co kto gdzie kiedy dlaczego jaki jaka
        jakie który która które ten ta te tego tej tym dla od po za przez przy pod nad bez między oraz lub
        ale albo czy tylko także już jeszcze bardzo więcej jego jej ich mój moja swój ja ty on ona my wy oni
        mi mnie cię ze o u może można musi należy napisz wyjaśnij opisz podaj następujące następujący""",
    "cs": """a v na z že se si ne do to je jsou byl byla bylo byly být jak co kdo kde kdy proč jaký jaká jaké
        který která které ten ta ty tento tato toto pro od po za při pod nad bez mezi nebo ale či jen také
        už ještě velmi více jeho její jejich můj moje já my vy oni mi mě o u ve ke k s podle může lze musí
        napište vysvětlete popište uveďte následující""",
    "sk": """a v na z že sa si nie do to je sú bol bola bolo boli byť ako čo kto kde kedy prečo aký aká aké ktorý
        ktorá ktoré ten tá tie tento táto toto pre od po za pri pod nad bez medzi alebo ale či len tiež už
        ešte veľmi viac jeho jej ich môj moje ja my vy oni mi ma o u vo ku k s podľa môže musí napíšte
        vysvetlite opíšte nasledujúce""",
    "hu": """a az egy és hogy nem is van vannak volt voltak lesz lenni mint ha de vagy csak már még meg ki mi mit
        milyen melyik hol mikor miért hogyan hány ez ezt azt ezek azok ő én te ti ők neki nekem benne rá el
        fel le be kell lehet nincs minden más több nagyon után előtt között alatt felett nélkül szerint írj
        írja magyarázd következő következőket""",
    "ro": """și să de la în cu pe pentru din că nu este sunt era erau fi fost a al ai ale o un unei unui care ce
        cine unde când cum cât acest această aceste acesta aceasta lui ei lor meu mea eu tu el ea noi voi se
        îi îl le mai foarte dacă sau dar însă prin după între fără despre până fiecare tot toate toți alt
        altă poate trebuie scrie explică descrie următoarele următorul""",
    "hr": """i u na s sa je su da ne se što kako gdje kada zašto tko ko koji koja koje ovaj ova ovo taj ta to za
        od do po iz pri pod nad bez između ili ali nego samo također već još vrlo više njegov njihov moj ja
        ti on ona mi vi oni mu im ih ga o bio bila bilo biti nije nisu može mogu mora napiši objasni opiši
        sljedeće sljedeći""",
    "sl": """in v na z s je so da ne se kaj kako kje kdaj zakaj kdo kateri katera katero ta to ti tega za od do
        po iz pri pod nad brez med ali samo tudi že še zelo več njegov njihov moj jaz on ona mi vi oni mu
        jih ga o bil bila bilo biti ni niso lahko mora napišite pojasnite opišite naslednje kot ki ker""",
    "tr": """ve bir bu da de için ile ne mi mı mu mü olan olarak olduğu oldu var yok daha çok en gibi kadar sonra
        önce ama veya ya değil her şu o ben sen biz siz onlar benim senin onun nasıl neden niçin nerede kim
        hangi kaç ise ki göre arasında üzerinde altında tüm bütün diğer yaz yazın açıklayın açıkla verin
        aşağıdaki eden edilen olur""",
    "id": """yang dan di ke dari untuk dengan pada adalah itu ini tidak bukan akan telah sudah dapat bisa harus
        oleh atau tetapi juga lebih sangat semua setiap antara dalam luar atas bawah sebagai karena jika
        ketika apa siapa mana kapan mengapa bagaimana berapa saya kamu anda dia mereka kami kita nya para
        seorang sebuah suatu tulis tuliskan jelaskan sebutkan berikan buatlah berikut tersebut""",
    "vi": """và của là có không được cho các một những này đó với trong người để khi đã sẽ như ở về từ nhiều rất
        cũng nhưng hoặc nếu thì mà vì tại sao thế nào gì ai đâu bao nhiêu tôi bạn anh chị chúng ta họ nó hãy
        viết giải thích mô tả sau trước giữa trên dưới bằng đến ra vào lại phải cần thể hơn""",
    "ca": """el la els les un una uns unes de del dels al als i o però no és són era eren ser estar ha han hi amb
        sense per sobre entre fins des que què qui quin quina quins quan on com perquè aquest aquesta
        aquests aquestes seu seva meu jo ell ella nosaltres es li em et més molt també tot tots altre si ja
        escriu explica descriu següent següents pot poden d l s n""",
    "lt": """ir yra buvo būti kad ne nėra kaip kas ką kur kada kodėl kuris kuri kurie šis ši tas ta tai jis ji
        jie aš tu mes jūs jo jos jų mano savo su be per prie nuo iki iš į apie po tarp arba bet o taip pat
        tik jau dar labai daugiau gali reikia turi parašykite paaiškinkite šie""",
    "lv": """un ir bija būt ka nav kā kas ko kur kad kāpēc kurš kura kuri šis šī tas tā tie viņš viņa viņi es tu
        mēs jūs mans savu ar bez par pie no līdz uz pēc starp vai bet arī tikai jau vēl ļoti vairāk var
        jābūt uzrakstiet paskaidrojiet šādi""",
    "et": """ja on ei oli olid olla et kui ka aga või mis kes kus millal miks kuidas milline see need tema nad
        mina sina me te oma minu ning kuid siis veel juba väga rohkem kõik muu saab võib peab pärast enne
        vahel ilma kirjuta selgita kirjelda järgmised järgmine""",
    "sw": """na ya wa kwa ni katika la za cha vya hii hiyo huo hizo kuwa si au lakini pia sana zaidi wote yote
        kila nini nani wapi lini gani jinsi vipi mimi wewe yeye sisi wao yake yao wangu ambayo ambao andika
        eleza toa zifuatazo""",
    "tl": """ang ng sa na mga ay at hindi ito iyan iyon ko mo niya namin natin nila ako ikaw siya kami tayo sila
        kung para may mayroon wala ano sino saan kailan bakit paano alin isang dahil pero o din rin lamang
        isulat ipaliwanag ilarawan sumusunod""",
    "af": """die en van is nie het in te vir met dat wat 'n sy hulle ons ek jy hy was word kan moet sal op aan
        uit by na oor onder deur sonder om tot as ook nog maar hoe wie waar wanneer hoekom watter hierdie
        daardie baie meer skryf""",
}

CYRILLIC = {
    "ru": """и в не на что с как это по но из у за от то для же все так или его её их он она они мы вы я был была
        было были быть есть если когда где почему какой какая какие который которая чтобы при о об до после
        между также только уже можно нужно очень более напишите напиши объясните опишите""",
    "uk": """і в не на що з як це по але із у за від то для же все так або його її їх він вона вони ми ви я був
        була було були бути є якщо коли де чому який яка які котрий щоб при про до після між також тільки
        вже можна потрібно дуже більше та напишіть поясніть опишіть й""",
    "bg": """и в не на че с как това по но от за да се са е съм си ще или той тя те ние вие аз беше бяха бъде ако
        когато къде защо кой коя кое които при до след между също само вече може трябва много повече
        напишете обяснете във със""",
    "sr": """и у не на да с како је су се што за од до по из али или он она они ми ви ја био била било бити ако
        када где зашто који која које при о после између такође само већ може треба врло више напишите
        објасните није""",
    "mk": """и во не на дека со како е се што за од до по но или тој таа тие ние вие јас беше бил биде ако кога
        каде зошто кој која кое кои при после меѓу исто само веќе може треба многу повеќе напишете објаснете""",
}

ARABIC = {
    "ar": """في من على إلى أن هو هي ما هذا هذه ذلك التي الذي عن مع لا لم كان كانت كيف لماذا متى أين هل أو ثم بعد
        قبل بين كل غير حتى إذا قد اكتب اشرح و""",
    "fa": """در از به که این آن را با برای است هستند بود شد می شود کرد چه چگونه چرا کجا کی یا هم هر تا اگر بر خود
        های ها نیست باید بنویسید توضیح و""",
    "ur": """میں کے کی کا سے کو ہے ہیں اور یہ وہ نے پر تھا تھے کیا کیوں کہاں کب کیسے یا بھی ہر تک اگر جو نہیں
        لکھیں ایک""",
}
