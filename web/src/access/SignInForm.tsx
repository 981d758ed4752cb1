import { signIn } from '../api';
import { texts } from '../texts';
import { OwnerName } from './PasswordField';
import { PasswordForm } from './PasswordForm';

const FIELDS = [{ label: texts.access.password, kind: 'current-password' }] as const;

/** Whatever it is on hears of who signs in by `onSession`. */
export function SignInForm() {
  return (
    <>
      <PasswordForm
        fields={FIELDS}
        button={texts.access.button}
        busyButton={texts.access.signingIn}
        onPasswords={([password = '']) => signIn(password)}
      >
        <OwnerName />
      </PasswordForm>
      <p className="access__hint">{texts.access.forgotten}</p>
    </>
  );
}
