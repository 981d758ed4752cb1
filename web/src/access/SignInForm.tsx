import { useEffect, useState } from 'react';
import { signIn } from '../api';
import { texts } from '../texts';
import { OwnerName } from './PasswordField';
import { PasswordForm } from './PasswordForm';
import { ProviderLink } from './ProviderLink';
import { reasonOf } from './provider';

const FIELDS = [{ label: texts.access.password, kind: 'current-password' }] as const;

interface Props {
  /** Whether what is on the page has to stay. */
  keepsPage?: boolean;
}

/** Why an OpenID provider brought somebody back who is not signed in. */
function broughtBack(): string | null {
  const reason = reasonOf(window.location.search);
  return reason === null ? null : texts.access.provider[reason];
}

/** Whatever it is on hears of who signs in by `onSession`. */
export function SignInForm({ keepsPage = false }: Props) {
  const [refusal, setRefusal] = useState(broughtBack);

  useEffect(() => {
    // It is said once. The link below has taken from the address where it leads.
    if (broughtBack() !== null) window.history.replaceState(null, '', window.location.pathname);
  }, []);

  return (
    <>
      <PasswordForm
        fields={FIELDS}
        button={texts.access.button}
        busyButton={texts.access.signingIn}
        refusal={refusal}
        onPasswords={([password = '']) => {
          setRefusal(null);
          return signIn(password);
        }}
      >
        <OwnerName />
      </PasswordForm>
      <ProviderLink keepsPage={keepsPage} />
      <p className="access__hint">{texts.access.forgotten}</p>
    </>
  );
}
